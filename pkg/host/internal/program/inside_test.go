package program

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newRoot makes a root directory with one program, which is reached, as iptables is on Debian, through a link that means nothing outside.
func newRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can change its root directory")
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(busybox)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, dir := range []string{"opt", "usr/sbin", "etc/alternatives", "dev"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(root, "opt/busybox"), program, 0o755),
		os.Symlink("/opt/busybox", filepath.Join(root, "etc/alternatives/sh")),
		os.Symlink("/etc/alternatives/sh", filepath.Join(root, "usr/sbin/sh")),
		unix.Mknod(filepath.Join(root, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestInside runs a program that is below a root alone: it sees that root, and the caller's network namespace.
func TestInside(t *testing.T) {
	root := newRoot(t)
	links := make(chan string, 1)
	go func() { // its thread is not used again
		runtime.LockOSThread()
		defer close(links)
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		err := Inside(root, func() error {
			return Run("sh", "-c", "/opt/busybox ip -o link >/links && /opt/busybox ip link add probe0 type bridge")
		})
		if err != nil {
			t.Error(err)
		}
		text, err := os.ReadFile(filepath.Join(root, "links"))
		if err != nil {
			t.Error(err)
		}
		if out, err := exec.Command("ip", "-o", "link", "show", "probe0").CombinedOutput(); err != nil {
			t.Errorf("what was made inside is not here: %v: %s", err, out)
		}
		links <- string(text)
	}()
	if text := <-links; strings.Count(text, "\n") == 0 || strings.Contains(text, "eth0") {
		t.Errorf("the program saw the links:\n%s", text)
	}
	if _, err := os.Stat("/opt/busybox"); err == nil {
		t.Error("this thread has changed its root directory")
	}
}

// TestInsideFails holds what is said where it cannot be done.
func TestInsideFails(t *testing.T) {
	root := newRoot(t)
	if err := Inside(root, func() error { return Run("sh", "-c", "echo so be it >&2; exit 3") }); err == nil || !strings.Contains(err.Error(), "sh: exit status 3: so be it") {
		t.Errorf("a program that fails: %v", err)
	}
	if err := Inside(root, func() error { return Run("netmend-no-such-program") }); !errors.Is(err, ErrNoProgram) || !strings.Contains(err.Error(), root) {
		t.Errorf("a program that is nowhere: %v; want ErrNoProgram and where it was looked for", err)
	}
	if err := Inside(filepath.Join(root, "none"), func() error { return nil }); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a root that is not there: %v", err)
	}
	where := ""
	err := Inside(root, func() error { // a program that the node lacks and netmend has
		path, err := Find("busybox")
		where = path
		return err
	})
	if err != nil || where == "" {
		t.Errorf("what netmend came with: %q, %v", where, err)
	}
	defer func() {
		if p := recover(); p == nil || !strings.Contains(p.(string), "inside") {
			t.Errorf("a panic became %v", p)
		}
	}()
	t.Error(Inside(root, func() error { panic("inside") }))
}
