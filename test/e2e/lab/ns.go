package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const netnsDir = "/run/netns"

// prefix begins the name of every namespace of the lab; the process id and a number follow, then what it is for.
const prefix = "nm"

var serial atomic.Int64

// NS is a network namespace that lives as long as its test.
type NS struct {
	Name string // as ip netns lists it
	Path string

	t TB
}

// NewNS makes a namespace, with lo up. The role becomes part of its name.
func NewNS(t TB, role string) *NS {
	t.Helper()
	name := fmt.Sprintf("%s%d-%d-%s", prefix, os.Getpid(), serial.Add(1), role)
	n := &NS{Name: name, Path: filepath.Join(netnsDir, name), t: t}
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add %s: %v: %s", name, err, out)
	}
	t.Cleanup(func() {
		out, err := exec.Command("ip", "netns", "del", name).CombinedOutput()
		if _, gone := os.Stat(n.Path); err != nil && gone == nil { // a signal's sweep may have been first
			t.Errorf("ip netns del %s: %v: %s", name, err, out)
		}
	})
	n.Sh("ip link set lo up")
	return n
}

// Inode is the namespace's number, by which facts name it.
func (n *NS) Inode() uint64 {
	n.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(n.Path, &st); err != nil {
		n.t.Fatalf("stat %s: %v", n.Path, err)
	}
	return st.Ino
}

// Sh runs a shell script in the namespace and gives what it prints. It must not fail.
func (n *NS) Sh(script string) string {
	n.t.Helper()
	out, err := n.Try(script)
	if err != nil {
		n.t.Fatalf("in %s: %v", n.Name, err)
	}
	return out
}

// Try runs a shell script in the namespace and gives what it prints.
func (n *NS) Try(script string) (string, error) {
	return runShell(n.Command("sh", "-euc", script), script)
}

// Command is a program to run in the namespace.
func (n *NS) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.Name, name}, args...)...)
}

// Process is a program that runs in a namespace.
type Process struct {
	Log   string // the file that it writes to
	group int    // of processes: its number and its children's group
	end   <-chan struct{}
}

// Stop kills the program with its children and waits until they are gone, unless it has ended already.
func (p *Process) Stop() {
	if p.ended() { // its number may be another's by now
		return
	}
	syscall.Kill(-p.group, syscall.SIGKILL)
	<-p.end
	for range 100 {
		if syscall.Kill(-p.group, 0) == syscall.ESRCH {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (p *Process) ended() bool {
	select {
	case <-p.end:
		return true
	default:
		return false
	}
}

// Start runs a program in the namespace until it is stopped, the test ends, or this process dies.
func (n *NS) Start(name string, args ...string) *Process {
	n.t.Helper()
	cmd := n.Command(name, args...)
	return n.start(cmd, filepath.Base(name))
}

// StartCommand is [NS.Start] for a program that finds its way into the namespace itself. The name is that of its log.
func (n *NS) StartCommand(cmd *exec.Cmd, name string) *Process {
	n.t.Helper()
	return n.start(cmd, name)
}

func (n *NS) start(cmd *exec.Cmd, name string) *Process {
	n.t.Helper()
	out, err := os.CreateTemp(n.t.TempDir(), name+"-*.log")
	if err != nil {
		n.t.Fatalf("%v", err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		// The signal comes when the thread that started the program ends, and threads do end here: those of Do.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait() // how it ended is not looked at: what it should have done is
		}
	}()
	if err := <-started; err != nil {
		n.t.Fatalf("start %s in %s: %v", name, n.Name, err)
	}
	p := &Process{Log: out.Name(), group: cmd.Process.Pid, end: ended}
	n.t.Cleanup(p.Stop)
	return p
}

// Do runs fn on a thread in the namespace. Sockets that fn opens stay in it.
func (n *NS) Do(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine and no other code runs in the namespace
		f, err := os.Open(n.Path)
		if err == nil {
			err = errors.Join(unix.Setns(int(f.Fd()), unix.CLONE_NEWNET), f.Close())
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

// Shell runs a script outside of any namespace of the lab, as a person would type it.
func Shell(script string) (string, error) {
	return runShell(exec.Command("sh", "-euc", script), script)
}

func runShell(cmd *exec.Cmd, script string) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.TrimSpace(script), err, strings.TrimSpace(errs.String()))
	}
	return out.String(), nil
}

// sweep removes the control groups, with what runs in them, and the namespaces of the processes that gone approves.
func sweep(gone func(pid int) bool) {
	sweepGroups(gone)
	entries, err := os.ReadDir(netnsDir)
	if err != nil {
		return // none was ever made
	}
	for _, e := range entries {
		if ours(e.Name(), gone) {
			exec.Command("ip", "netns", "del", e.Name()).Run() // another run may have removed it just now
		}
	}
}
