package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const root = "../../../.."

// TestGenerated fails when a generated file is not what the checks now say.
func TestGenerated(t *testing.T) {
	list, err := listFile(root)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := documents(root)
	if err != nil {
		t.Fatal(err)
	}
	all := append([]file{list}, docs...)
	for _, f := range all {
		if f.stale(root) {
			t.Errorf("%s is stale: run make gen", f.path)
		}
	}
	pages, err := filepath.Glob(filepath.Join(root, pagesDir, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !slices.ContainsFunc(all, func(f file) bool { return filepath.Join(root, f.path) == p }) {
			t.Errorf("%s is the page of no check: remove it", p)
		}
	}
}

func TestScan(t *testing.T) {
	const good = "package checks\n\nvar B = &check.Check{\n\tTitle: \"x\",\n\tName: \"b-c\",\n}\n\nvar other = &check.Report{}\n"
	tests := []struct {
		name  string
		files map[string]string
		want  []unit
		err   string
	}{
		{"none", map[string]string{"doc.go": "package checks"}, nil, ""},
		{"by name", map[string]string{"b_c.go": good, "z.go": "package checks\nvar A = &check.Check{Name: `z`}"}, []unit{{"B", "b-c"}, {"A", "z"}}, ""},
		{"a test is no check", map[string]string{"b_c_test.go": good}, nil, ""},
		{"wrong file", map[string]string{"c.go": good}, nil, `check "b-c" stands in c.go; its file is b_c.go`},
		{"no name", map[string]string{"c.go": "package checks\nvar A = &check.Check{}"}, nil, `check "" stands in c.go`},
		{"not Go", map[string]string{"c.go": "package"}, nil, "expected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := scan(dir)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("scan error = %v; want %q", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(unit{})); d != "" {
				t.Errorf("scan (-want +got):\n%s", d)
			}
		})
	}
}

func TestInsert(t *testing.T) {
	got, err := insert([]byte("a\n<!-- checks -->\nold\n<!-- /checks -->\nz\n"), []byte("new\n"))
	if want := "a\n<!-- checks -->\nnew\n<!-- /checks -->\nz\n"; string(got) != want || err != nil {
		t.Errorf("insert = %q, %v; want %q, nil", got, err, want)
	}
	if _, err := insert([]byte("no table here"), nil); !errors.Is(err, errMarkers) {
		t.Errorf("insert into a text without markers: error %v; want %v", err, errMarkers)
	}
}

func TestLink(t *testing.T) {
	got := link("see tcp-tw-recycle, not `tcp-tw-recycle` and no-such-check (paws-listen-drops)", "paws-listen-drops")
	want := "see [tcp-tw-recycle](tcp-tw-recycle.md), not `tcp-tw-recycle` and no-such-check (paws-listen-drops)"
	if got != want {
		t.Errorf("link = %q; want %q", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	f := file{"a/b.md", []byte("x")}
	for _, want := range []bool{true, false} {
		if got, err := write(dir, f, io.Discard); got != want || err != nil {
			t.Errorf("write = %v, %v; want %v, nil", got, err, want)
		}
	}
}
