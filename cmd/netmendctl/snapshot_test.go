package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/report"
)

func TestSnapshotFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.json")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := newTestEnv(t, "snapshot", "-f", path, "--note", "DNS is slow")
	if code := run(context.Background(), e.env); code != 0 {
		t.Fatalf("run = %d: %s", code, e.err.String())
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := facts.Decode(f)
	if err != nil || s.Note != "DNS is slow" || len(s.Kinds) != len(facts.NamespaceKinds())+len(facts.NodeKinds())-2 {
		t.Errorf("the file holds %+v, %v; want every kind and the note", s, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v; want the snapshot alone", len(entries), err)
	}
}

// TestSnapshotElsewhere: the report of a document is the report of the node.
func TestSnapshotElsewhere(t *testing.T) {
	here := newTestEnv(t, "audit")
	run(context.Background(), here.env)
	take := newTestEnv(t, "snapshot")
	if code := run(context.Background(), take.env); code != 0 {
		t.Fatalf("snapshot = %d: %s", code, take.err.String())
	}
	there := newTestEnv(t, "audit", "--from", "-")
	there.in = &take.out
	if code := run(context.Background(), there.env); code != 1 || there.out.String() != here.out.String() {
		t.Errorf("audit --from = %d and\n%s; want 1 and\n%s", code, there.out.String(), here.out.String())
	}
}

func TestSnapshotRedact(t *testing.T) {
	e := newTestEnv(t, "snapshot", "--redact")
	if code := run(context.Background(), e.env); code != 0 || strings.Contains(e.out.String(), "node1") {
		t.Errorf("run = %d and\n%s; want 0 and nothing of node1", code, e.out.String())
	}
}

func TestVersionAndChecks(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"version", "snapshot schema 1"}, {"version -o json", `"snapshotSchema": 1`}, {"checks", "bad-mtu   warning   An MTU is bad"}, {"checks -o json", `"name": "fine-two"`},
		{"explain bad-mtu", "# bad-mtu"}, {"completion bash", "__start_netmendctl"}, {"completion zsh", "#compdef netmendctl"}, {"completion fish", "complete -c netmendctl"},
		{"__complete audit --check b", "bad-mtu\tAn MTU is bad"}, {"__complete audit --check fine-one,b", "fine-one,bad-mtu"}, {"__complete audit -o s", "sarif"},
		{"__complete explain f", "fine-one"}, {"__complete completion z", "zsh"}, {"__complete audit --fail-on c", "critical"},
	} {
		e := newTestEnv(t, strings.Fields(tt.args)...)
		if code := run(context.Background(), e.env); code != 0 || !strings.Contains(e.out.String(), tt.want) {
			t.Errorf("%s = %d and\n%s%s; want 0 and %q", tt.args, code, e.out.String(), e.err.String(), tt.want)
		}
	}
}

func TestManPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	e := newTestEnv(t, "man", "--dir", dir)
	if code := run(context.Background(), e.env); code != 0 {
		t.Fatalf("run = %d: %s", code, e.err.String())
	}
	for _, c := range append(newRoot(e.env).Commands(), newRoot(e.env)) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Contains(page, []byte("EXAMPLE")) {
			t.Errorf("%s: %v; want a page with examples", name, err)
		}
		if c.Example == "" || c.Short == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	}
}

// FuzzAudit gives a stranger's document to the whole program in every format: it must end, with one of the three codes, and one line where it fails.
func FuzzAudit(f *testing.F) {
	paths, err := filepath.Glob("../../pkg/checks/testdata/*/*.json")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no snapshots: %v", err)
	}
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint8(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, format uint8) {
		var out, stderr bytes.Buffer
		e := systemEnv()
		names := report.Names()
		e.args = []string{"audit", "--from", "-", "-o", names[int(format)%len(names)]}
		e.in, e.out, e.err = bytes.NewReader(data), &out, &stderr
		code := run(context.Background(), e)
		if code < 0 || code > 2 || code == 2 && strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("run = %d and %q", code, stderr.String())
		}
		if code == 2 {
			return
		}
		e.args = []string{"snapshot", "--from", "-", "--redact"}
		e.in, e.out = bytes.NewReader(data), io.Discard
		if code := run(context.Background(), e); code != 0 {
			t.Errorf("snapshot --redact = %d and %q", code, stderr.String())
		}
	})
}
