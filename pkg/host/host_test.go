package host

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file, pipe := filepath.Join(dir, "file"), filepath.Join(dir, "pipe")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(pipe, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		options Options
		err     error
	}{
		{"a root without proc", Options{Root: dir}, os.ErrNotExist},
		{"a root that is a file", Options{Root: file}, unix.ENOTDIR},
		{"no such namespace", Options{NetNS: filepath.Join(dir, "gone")}, os.ErrNotExist},
		{"a file", Options{NetNS: file}, ErrNoNamespace},
		{"a pipe", Options{NetNS: pipe}, ErrNoNamespace},
		{"a directory", Options{NetNS: dir}, ErrNoNamespace},
		{"a namespace of another kind", Options{NetNS: "/proc/self/ns/mnt"}, ErrNoNamespace},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, err := Open(tt.options)
			if !errors.Is(err, tt.err) || h != nil {
				t.Errorf("Open() = %v, %v; want %v", h, err, tt.err)
			}
		})
	}
}

// Reading in one's own namespace needs no right to enter one.
func TestOpenOwn(t *testing.T) {
	h, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	n := h.Node()
	if n.Path != "" || n.Inode == 0 || !n.IsNode() {
		t.Errorf("the program's own namespace = %q, %d", n.Path, n.Inode)
	}
	links := 0
	if err := n.Do(func() error { l, err := n.Links(); links = len(l); return err }); err != nil || links == 0 {
		t.Errorf("%d links, %v", links, err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
}
