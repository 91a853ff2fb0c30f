package lab

import (
	_ "embed" // the script of a machine's first process
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed machine.sh
var machineScript string

// Machine is a node that has more than a network and some files for itself: its processes, mounts, control groups and host name are its own, and Root is what
// its processes see as the root of the file system, with the machine's /usr and /dev in it. What runs on it ends with it.
type Machine struct {
	*Node
	first int // process, by its number outside
}

// Machine makes a machine of the node, until the test ends.
func (n *Node) Machine() *Machine {
	n.t.Helper()
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		n.t.Fatalf("this machine has control groups of version 2 only, in which the lab cannot nest a node")
	}
	for _, dir := range []string{"proc", "sys"} { // where they are links, the node has those of the kernel
		if err := os.Remove(filepath.Join(n.Root, dir)); err != nil {
			n.t.Fatalf("%v", err)
		}
	}
	m := &Machine{Node: n}
	n.t.Cleanup(func() { // when its processes are gone, which are stopped before
		if err := removeGroups(n.Name); err != nil {
			n.t.Errorf("%v", err)
		}
	})
	cmd := exec.Command("bash", "-euc", makeGroups+joinGroups+`exec unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --cgroup \
nsenter --net="$NETNS" bash -c "$SCRIPT"`)
	cmd.Env = append(os.Environ(), "ROOT="+n.Root, "NAME="+n.Name, "NETNS="+n.Path, "GROUP="+n.Name, "SCRIPT="+machineScript)
	p := n.start(cmd, "machine")
	WaitFor(n.t, time.Minute, "the machine "+n.Name, func() (bool, string) {
		_, err := os.Stat(filepath.Join(n.Root, "run/up"))
		return err == nil, fmt.Sprint(err) + tail(p.Log)
	})
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.PID()))
	if err == nil {
		m.first, err = strconv.Atoi(strings.TrimSpace(string(children)))
	}
	if err != nil {
		n.t.Fatalf("the first process of %s: %v", n.Name, err)
	}
	return m
}

// Command is a program to run on the machine.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	enter := fmt.Sprintf(`exec nsenter --target %d --mount --pid --net --uts --ipc --cgroup "$@"`, m.first)
	cmd := exec.Command("bash", append([]string{"-euc", joinGroups + enter, "bash", name}, args...)...)
	cmd.Env = append(os.Environ(), "GROUP="+m.Name, "TMPDIR=/tmp")
	return cmd
}

// Start runs a program on the machine until it is stopped, or the test ends.
func (m *Machine) Start(name string, args ...string) *Process {
	m.t.Helper()
	return m.start(m.Command(name, args...), filepath.Base(name))
}

// Try runs a shell script on the machine and gives what it prints.
func (m *Machine) Try(script string) (string, error) {
	return runShell(m.Command("sh", "-euc", script), script)
}

// Sh runs a shell script on the machine and gives what it prints. It must not fail.
func (m *Machine) Sh(script string) string {
	m.t.Helper()
	out, err := m.Try(script)
	if err != nil {
		m.t.Fatalf("on %s: %v", m.Name, err)
	}
	return out
}

// Agent is [Node.Agent], as a process of the machine.
func (m *Machine) Agent(name string) {
	m.t.Helper()
	if err := copySleep(filepath.Join(m.Root, "opt", name)); err != nil {
		m.t.Fatalf("%v", err)
	}
	m.Start("/opt/"+name, "infinity")
}
