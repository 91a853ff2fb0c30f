package host

import (
	"os"
	"path/filepath"
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
