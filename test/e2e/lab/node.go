package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Node is a namespace that stands for a node, with /etc, /run and /var of its own below Root; /proc and /sys are the kernel's.
type Node struct {
	*NS
	Root string
}

// NewNode makes a node without an uplink.
func NewNode(t TB, role string) *Node {
	t.Helper()
	n := &Node{NS: NewNS(t, role), Root: t.TempDir()}
	for _, dir := range []string{"etc", "root", "run/netns", "var/lib", "opt/cni/bin"} {
		if err := os.MkdirAll(filepath.Join(n.Root, dir), 0o755); err != nil {
			t.Fatalf("%v", err)
		}
	}
	for _, dir := range []string{"proc", "sys"} {
		if err := os.Symlink("/"+dir, filepath.Join(n.Root, dir)); err != nil {
			t.Fatalf("%v", err)
		}
	}
	return n
}

// Audit audits the node: its namespace and its files.
func (n *Node) Audit(args ...string) *Report {
	n.t.Helper()
	return Audit(n.t, append([]string{"--netns", n.Path, "--root", n.Root}, args...)...)
}

// Write makes a file of the node.
func (n *Node) Write(path, format string, args ...any) {
	n.t.Helper()
	path = filepath.Join(n.Root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatalf("%v", err)
	}
	if err := os.WriteFile(path, fmt.Appendf(nil, format, args...), 0o644); err != nil {
		n.t.Fatalf("%v", err)
	}
}

// Pod makes a namespace that the node lists as a pod's.
func (n *Node) Pod(name string) *NS {
	n.t.Helper()
	p := NewNS(n.t, name)
	if err := os.Symlink(p.Path, filepath.Join(n.Root, "run/netns", p.Name)); err != nil {
		n.t.Fatalf("%v", err)
	}
	return p
}

// Agent runs a process in the node's namespace that has the name of a network agent and does nothing, and waits until it has it.
func (n *Node) Agent(name string) {
	n.t.Helper()
	program := filepath.Join(n.t.TempDir(), name)
	if err := copySleep(program); err != nil {
		n.t.Fatalf("%v", err)
	}
	p := n.Start(program, "infinity")
	WaitFor(n.t, 30*time.Second, name+" to have begun", func() (bool, string) { // ip netns exec becomes the program
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.PID()))
		return strings.TrimSpace(string(comm)) == name, fmt.Sprintf("%s %v", comm, err)
	})
}

// copySleep makes a program that does nothing.
func copySleep(path string) error {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o755)
}
