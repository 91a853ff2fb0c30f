package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestKubelet(t *testing.T) {
	tests := []struct {
		name, path, text string
		want             bool
	}{
		{"nothing", "proc/1/comm", "systemd\n", false},
		{"what kubeadm reset leaves", "var/lib/kubelet/.keep", "", false},
		{"its configuration", "var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n", true},
		{"its credentials", "etc/kubernetes/kubelet.conf", "", true},
		{"its process", "proc/7/comm", "kubelet\n", true},
		{"k3s", "proc/7/comm", "k3s-agent\n", true},
		{"a name that begins alike", "proc/7/comm", "kubelet-watch\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, file := range []string{"proc/uptime", tt.path} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(root, tt.path), []byte(tt.text), 0o644); err != nil {
				t.Fatal(err)
			}
			h, err := Open(Options{Root: root})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			if got := h.Kubelet(); got != tt.want {
				t.Errorf("Kubelet() = %v; want %v", got, tt.want)
			}
		})
	}
}

// TestKubeletElsewhere has a process of kubelet's name in a network namespace: it is on the node that lives there, and not on another one of the same machine.
func TestKubeletElsewhere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces")
	}
	root := t.TempDir()
	if err := os.Symlink("/proc", filepath.Join(root, "proc")); err != nil {
		t.Fatal(err)
	}
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"kubelet", "other"} { // the first still runs when the second is looked at
		want := i == 0
		program := filepath.Join(root, name)
		if out, err := exec.Command("cp", "-L", sleep, program).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		c := exec.Command(program, "300")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		h, err := Open(Options{Root: root, NetNS: fmt.Sprintf("/proc/%d/ns/net", c.Process.Pid)})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if got := h.Kubelet(); got != want {
			t.Errorf("on the node of the process %s Kubelet() = %v; want %v", name, got, want)
		}
	}
}
