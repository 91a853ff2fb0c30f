package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// clockTicks is USER_HZ, the unit of start times in /proc, which is 100 on every architecture that Kubernetes runs on.
const clockTicks = 100

// agentNames maps the name of a program to what it is on a node. k3s and MicroK8s' kubelite are several agents in one process.
func agentNames() map[string][]string {
	names := map[string][]string{
		"k3s":      {"k3s", "kubelet", "kube-proxy", "flanneld"},
		"kubelite": {"kubelite", "kubelet", "kube-proxy"},
	}
	for _, name := range []string{
		"flanneld", "calico-node", "cilium-agent", "kube-router", "weaver", "antrea-agent", "ovnkube", "kube-proxy", "kubelet", "containerd", "dockerd",
		"crio", "firewalld", "tuned", "NetworkManager", "systemd-networkd", "dhclient", "dhcpcd",
	} {
		names[name] = []string{name}
	}
	return names
}

// Agents lists the network agents among the node's processes, by their process numbers. Only processes that live in the node's network namespace
// count, also where that is not the program's own: another node on the same machine (kind, a test) has its own agents. Whether one does can be
// seen by root only, so an agent of another user is an error without. In a root without namespaces, made by hand, all count.
func (h *Host) Agents() ([]facts.Agent, error) {
	uptime, err := parseUptime(h.text("proc/uptime"))
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	names := agentNames()
	var all []facts.Agent
	for _, pid := range h.pids() {
		dir := h.Path("proc", strconv.Itoa(pid))
		comm := h.comm(pid)
		if !agentComm(comm, names) {
			continue
		}
		roles := names[agentProgram(comm, h.cmdline(dir))]
		if roles == nil {
			continue
		}
		start, alive := parseStart(h.text(filepath.Join("proc", strconv.Itoa(pid), "stat")))
		if !alive {
			continue
		}
		here, err := h.livesHere(dir)
		if err != nil {
			return nil, fmt.Errorf("list agents: network namespace of %s (process %d): %w", comm, pid, err)
		}
		if !here {
			continue
		}
		for _, name := range roles {
			all = append(all, facts.Agent{Name: name, PID: pid, Age: max(0, uptime-start/clockTicks)})
		}
	}
	return all, nil
}

// maxComm is TASK_COMM_LEN without its zero byte: longer names of processes are cut.
const maxComm = 15

// agentComm says whether a process's name may be an agent's. A script has the name of its interpreter, or its own.
func agentComm(comm string, names map[string][]string) bool {
	if names[comm] != nil || strings.HasPrefix(comm, "python") || strings.HasPrefix(comm, "k3s") || strings.Contains(comm, "felix") {
		return true
	}
	if len(comm) < maxComm {
		return false
	}
	for name := range names {
		if strings.HasPrefix(name, comm) {
			return true
		}
	}
	return false
}

// agentProgram gives the program that a process runs: its first argument, of a Python script the first that is no option, and the process's own name
// where it has none. "k3s server" and "k3s agent" write both words into the first argument.
func agentProgram(comm string, args []string) string {
	if len(args) == 0 || args[0] == "" {
		return comm
	}
	program := filepath.Base(firstWord(args[0]))
	if strings.HasPrefix(program, "python") {
		for _, a := range args[1:] {
			if !strings.HasPrefix(a, "-") {
				return filepath.Base(a)
			}
		}
	}
	switch {
	case program == "k3s-server" || program == "k3s-agent":
		return "k3s"
	case program == "calico-felix": // the daemon before it moved into calico-node
		return "calico-node"
	}
	return program
}

// cmdline reads the head of a process's arguments.
func (h *Host) cmdline(dir string) []string {
	data, err := readFile(filepath.Join(dir, "cmdline"), maxFile)
	if err != nil {
		return nil
	}
	args := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	return args[:min(len(args), 16)]
}

// livesHere says whether a process is in the node's network namespace.
func (h *Host) livesHere(dir string) (bool, error) {
	link, err := os.Readlink(filepath.Join(dir, "ns/net"))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return link == fmt.Sprintf("net:[%d]", h.node.Inode), nil
}

// parseStart reads a process's start, in clock ticks since boot, from /proc/PID/stat, where it is the 22nd value. The name before may hold spaces and
// parentheses. A zombie is not alive.
func parseStart(stat string) (ticks int64, alive bool) {
	i := strings.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, false
	}
	f := strings.Fields(stat[i+1:]) // the first of these is the third value, the state
	if len(f) < 20 || slices.Contains([]string{"Z", "X", "x"}, f[0]) {
		return 0, false
	}
	ticks, err := strconv.ParseInt(f[19], 10, 64)
	return ticks, err == nil && ticks >= 0
}

// parseUptime reads the seconds since boot from /proc/uptime.
func parseUptime(s string) (int64, error) {
	seconds, err := strconv.ParseFloat(firstWord(s), 64)
	if err != nil || seconds < 0 || seconds > 1e12 {
		return 0, fmt.Errorf("uptime %q", firstWord(s))
	}
	return int64(seconds), nil
}
