package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFormats compares every format with its golden file: of a node with faults, and of one without.
func TestFormats(t *testing.T) {
	faulty := flannelNode(9)
	healthy := flannelNode(1)
	clean := findingsOf(healthy, 0)
	clean.Findings, clean.Skipped = nil, nil
	for _, tt := range []struct {
		name string
		doc  *Document
	}{{"faulty", documentOf(faulty, findingsOf(faulty, 2))}, {"healthy", documentOf(healthy, clean)}} {
		for _, f := range Formats() {
			t.Run(tt.name+"/"+f.Name, func(t *testing.T) {
				var b bytes.Buffer
				if err := f.Write(&b, tt.doc, Style{Width: 100}); err != nil {
					t.Fatalf("Write = %v", err)
				}
				golden(t, tt.name+"."+f.Name, b.Bytes())
			})
		}
	}
}

// golden compares with a file below testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got; go test ./pkg/report -update writes it):\n%s", path, d)
	}
}

func TestColour(t *testing.T) {
	s := flannelNode(3)
	d := documentOf(s, findingsOf(s, 1))
	for _, f := range Formats() {
		var plain, painted bytes.Buffer
		if err := f.Write(&plain, d, Style{}); err != nil {
			t.Fatal(err)
		}
		if err := f.Write(&painted, d, Style{Colour: true}); err != nil {
			t.Fatal(err)
		}
		want := f.Name == "text" || f.Name == "wide"
		if got := bytes.ContainsRune(painted.Bytes(), '\x1b'); got != want {
			t.Errorf("%s with colour has escapes: %v; want %v", f.Name, got, want)
		}
		if bytes.ContainsRune(plain.Bytes(), '\x1b') {
			t.Errorf("%s without colour has escapes", f.Name)
		}
	}
}

func TestManyOfOneCheck(t *testing.T) {
	s := flannelNode(40)
	var b bytes.Buffer
	if err := writeText(&b, documentOf(s, findingsOf(s, 30)), Style{}); err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(b.Bytes(), []byte("ip link set dev eth0 mtu")); got != inFull {
		t.Errorf("text of 30 findings of a check has %d in full; want %d", got, inFull)
	}
	if got := bytes.Count(b.Bytes(), []byte("MTU 1500 is more")); got != 30 {
		t.Errorf("text of 30 findings of a check names %d; want 30", got)
	}
}
