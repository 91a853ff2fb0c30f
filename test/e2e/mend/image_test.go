package mend

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

type object = map[string]any

// container runs netmendctl on a machine as the chart's pods run in mode fix: in an image without any other program, with their capabilities and no other, a
// read-only root, and the node's files below /host, read-only but for what fixes write.
func container(t *testing.T, m *lab.Machine, args ...string) string {
	t.Helper()
	bundle := filepath.Join(m.Root, "opt/bundle")
	if err := os.MkdirAll(filepath.Join(bundle, "rootfs"), 0o755); err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(os.Getenv("NETMENDCTL"))
	if err == nil {
		err = os.WriteFile(filepath.Join(bundle, "rootfs/netmendctl"), program, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	caps := []string{"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_CHROOT"}
	mounts := []object{
		{"destination": "/proc", "type": "proc", "source": "proc"},
		{"destination": "/host", "type": "bind", "source": "/", "options": []string{"rbind", "ro", "rslave"}},
		{"destination": "/host/proc", "type": "bind", "source": "/proc", "options": []string{"rbind", "rw"}},
	}
	m.Sh("mkdir -p /var/lib/netmend /etc/sysctl.d; touch /run/xtables.lock")
	for _, path := range []string{"/var/lib/netmend", "/etc/sysctl.d", "/run/xtables.lock"} {
		mounts = append(mounts, object{"destination": "/host" + path, "type": "bind", "source": path, "options": []string{"rbind", "rw"}})
	}
	config, err := json.Marshal(object{
		"ociVersion": "1.0.2", "root": object{"path": "rootfs", "readonly": true}, "mounts": mounts,
		"process": object{
			"args": append([]string{"/netmendctl"}, args...), "cwd": "/", "user": object{"uid": 0, "gid": 0}, "noNewPrivileges": true,
			"capabilities": object{"bounding": caps, "effective": caps, "permitted": caps},
		},
		"linux": object{"namespaces": []object{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}}},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.Sh("mkdir -p /run/runc; runc --root /run/runc run --bundle /opt/bundle netmend 2>&1")
}

// TestFixFromImage mends and undoes what needs iptables, with the node's own: the image has none. Either backend.
func TestFixFromImage(t *testing.T) {
	for _, backend := range []string{"nft", "legacy"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			f := lab.NewFlannel(t, 4, "")
			n := f.Nodes[0]
			m := n.Machine()
			f.Pods[1].Listen(f.Target())
			n.Sh("iptables-nft -F FORWARD; iptables-nft -F FLANNEL-FWD; iptables-nft -X FLANNEL-FWD; iptables-" + backend + " -P FORWARD DROP")
			connected := func(want bool) {
				t.Helper()
				if _, err := f.Pods[0].Connect(f.Target(), time.Second); (err == nil) != want {
					t.Errorf("the pod connects: %v; want %v", err, want)
				}
			}
			connected(false)
			if out := container(t, m, "fix", "--root", "/host", "--yes", "--check", "forward-blocked", "--pod-cidr", lab.PodCIDR); !strings.Contains(out, "mended  1: forward-blocked") {
				t.Errorf("fix says %s", out)
			}
			connected(true)
			if out := container(t, m, "undo", "--root", "/host", "--all"); !strings.Contains(out, "undone") {
				t.Errorf("undo says %s", out)
			}
			connected(false)
		})
	}
}
