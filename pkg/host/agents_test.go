package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// process adds a process to a tree of files: it started so many seconds after boot.
func process(files map[string]string, pid int, comm, state string, start int, args ...string) {
	dir := fmt.Sprintf("proc/%d/", pid)
	files[dir+"comm"] = comm + "\n"
	files[dir+"cmdline"] = strings.Join(args, "\x00") + "\x00"
	files[dir+"stat"] = fmt.Sprintf("%d (%s) %s 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 %d 1 2 3\n", pid, comm, state, start*clockTicks)
}

func TestAgents(t *testing.T) {
	files := map[string]string{"proc/uptime": "1000.55 1999.10\n"}
	process(files, 10, "kubelet", "S", 900, "/usr/bin/kubelet", "--config=x")
	process(files, 11, "calico-node", "S", 100, "calico-node", "-felix")
	process(files, 12, "systemd-network", "S", 5, "/lib/systemd/systemd-networkd")
	process(files, 13, "firewalld", "S", 10, "/usr/bin/python3", "-s", "/usr/sbin/firewalld", "--nofork")
	process(files, 14, "python3", "S", 10, "/usr/bin/python3", "-Es", "/usr/sbin/tuned", "-l", "-P")
	process(files, 15, "python3", "S", 10, "/usr/bin/python3", "/opt/app.py", "kubelet")
	process(files, 16, "k3s-server", "S", 10, "/usr/local/bin/k3s server")
	process(files, 17, "flanneld", "Z", 10)
	process(files, 18, "bash", "S", 10, "/bin/bash", "-c", "kubelet")
	process(files, 19, "a) (b", "S", 10, "/bin/sh")
	process(files, 20, "kube-proxy", "S", 2000, "/usr/local/bin/kube-proxy")
	process(files, 21, "dhclient", "S", 10)
	files["proc/22/comm"] = "kubelet\n" // its stat is gone already
	got, err := tree(t, files).Agents()
	if err != nil {
		t.Fatal(err)
	}
	want := []facts.Agent{
		{Name: "kubelet", PID: 10, Age: 100}, {Name: "calico-node", PID: 11, Age: 900}, {Name: "systemd-networkd", PID: 12, Age: 995},
		{Name: "firewalld", PID: 13, Age: 990}, {Name: "tuned", PID: 14, Age: 990},
		{Name: "k3s", PID: 16, Age: 990}, {Name: "kubelet", PID: 16, Age: 990}, {Name: "kube-proxy", PID: 16, Age: 990}, {Name: "flanneld", PID: 16, Age: 990},
		{Name: "kube-proxy", PID: 20}, {Name: "dhclient", PID: 21, Age: 990},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Agents (-want +got):\n%s", d)
	}
}

// TestAgentsLiveHere has a real process by the name of an agent in the namespace, and another one outside.
func TestAgentsLiveHere(t *testing.T) {
	t.Parallel()
	h, _ := filterNS(t)
	program := filepath.Join(t.TempDir(), "antrea-agent")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	pids := map[string]int{}
	for name, args := range map[string][]string{"outside": {program, "60"}, "inside": {"nsenter", "--net=" + h.Node().Path, program, "60"}} {
		cmd := exec.Command(args[0], args[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
			_ = cmd.Wait() // it was killed
		})
		pids[name] = cmd.Process.Pid
	}
	var found []facts.Agent
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		all, err := h.Agents()
		if err != nil {
			t.Fatal(err)
		}
		if found = all; len(found) > 0 {
			break
		}
	}
	if len(found) != 1 || found[0].PID != pids["inside"] || found[0].Name != "antrea-agent" || found[0].Age > 30 {
		t.Errorf("Agents = %+v; want antrea-agent with PID %d alone, %d lives elsewhere", found, pids["inside"], pids["outside"])
	}
}

func FuzzStat(f *testing.F) {
	f.Add("7 (kubelet) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 1 2 3\n", "1000.55 1999.10\n")
	f.Add("7 (a) (b) Z", "x")
	f.Fuzz(func(t *testing.T, stat, uptime string) {
		if ticks, alive := parseStart(stat); alive && ticks < 0 {
			t.Errorf("parseStart(%q) = %d", stat, ticks)
		}
		if s, err := parseUptime(uptime); err == nil && s < 0 {
			t.Errorf("parseUptime(%q) = %d", uptime, s)
		}
		agentProgram(stat, strings.Split(uptime, " "))
	})
}
