package verdict

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAskRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	datagrams := filepath.Join(dir, "datagrams")
	d, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: datagrams, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, path := range map[string]string{
		"nothing there": filepath.Join(dir, "gone"), "a file": file, "nobody listens": dead, "another kind": datagrams, "a path that is too long": "/" + strings.Repeat("x", 200), "no path": "",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := Ask(path); err == nil {
				c.Close()
				t.Errorf("Ask(%s) succeeded", path)
			}
		})
	}
}

// TestFullQueue asks a daemon that does not even accept: it costs nothing.
func TestFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c, err := Ask(path)
		if err != nil {
			if !errors.Is(err, syscall.EAGAIN) {
				t.Errorf("Ask: %v; want EAGAIN", err)
			}
			return
		}
		defer c.Close()
	}
	t.Error("a queue of 1 took 10")
}

// TestOtherUser has somebody who is not root listen where the daemon should.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to become another user needs root")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "s")
	program := filepath.Join(dir, "listener")
	data, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestListener$")
	cmd.Env = []string{listenerVariable + "=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	deadline := time.Now().Add(slow)
	for {
		c, err := Ask(path)
		if err == nil {
			c.Close()
			t.Fatal("another user's answer would be believed")
		}
		if errors.Is(err, ErrAnswer) && strings.Contains(err.Error(), "65534") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Ask: %v; want a refusal of user 65534", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// listenerVariable makes [TestListener] the other user's daemon.
const listenerVariable = "NETMEND_TEST_LISTENER"

// TestListener is no test: [TestOtherUser] starts it as another user. It listens until its standard input ends.
func TestListener(t *testing.T) {
	path := os.Getenv(listenerVariable)
	if path == "" {
		t.Skip("another test's helper")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, _ = os.Stdin.Read(make([]byte, 1))
}
