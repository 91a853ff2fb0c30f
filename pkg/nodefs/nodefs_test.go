package nodefs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestResolve(t *testing.T) {
	root := t.TempDir()
	for link, to := range map[string]string{"abs": "/etc/x", "up": "../../../etc", "loop": "loop", "etc": "/usr/etc"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct{ name, path, want string }{
		{"plain", "/a/b", "/a/b"},
		{"absolute link", "/abs", "/usr/etc/x"},
		{"above the root", "/up/y", "/usr/etc/y"},
		{"dots", "/../../a", "/a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Resolve(root, tt.path); err != nil || got != root+tt.want {
				t.Errorf("Resolve(%s) = %s, %v; want %s", tt.path, got, err, root+tt.want)
			}
		})
	}
	if _, err := Resolve(root, "/loop/a"); !errors.Is(err, unix.ELOOP) {
		t.Errorf("Resolve of a loop = %v; want ELOOP", err)
	}
	if got, err := Resolve("/", root+"/abs"); err != nil || got != root+"/abs" {
		t.Errorf("Resolve below / = %s, %v; the kernel follows links itself", got, err)
	}
	if got, err := Real("/", root+"/loop2"); err != nil || got != root+"/loop2" {
		t.Errorf("Real of what does not exist = %s, %v", got, err)
	}
}

func TestLock(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "lock")
	first, err := Lock(ctx, path, "first", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(ctx, path, "second", 0); !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "first (pid ") {
		t.Errorf("Lock beside another = %v; want ErrBusy that says who", err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Lock(ended, path, "second", time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("Lock with an ended context = %v", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = first.Close() })
	second, err := Lock(ctx, path, "second", 10*time.Second)
	if err != nil {
		t.Fatalf("Lock after the first = %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}
