// Package containerd is what tests that run the real container runtime have in common: its configuration on a machine like this one, and images for it, which
// come from no registry.
package containerd

import (
	"fmt"
	"os/exec"
)

// PauseImage is the name under which the runtime is to find the sandboxes' image. Its program is test/cri/pause.
const PauseImage = "localhost/pause:1"

// Socket is where the runtime listens, on its node.
const Socket = "/run/containerd/containerd.sock"

// Config is the runtime's configuration, for a node whose CNI plugins are in a directory. What it holds besides the tests' wishes is what a machine without
// AppArmor, overlayfs or the right to change a process's chance to be killed needs.
func Config(plugins string) string {
	return fmt.Sprintf(`version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = %q
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = "/etc/cni/net.d"
`, Socket, PauseImage, plugins)
}

// Import gives a runtime the images of an archive. The socket is the runtime's, as this process sees it.
func Import(socket, archive string) error {
	out, err := exec.Command("ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", "--snapshotter", "native", archive).CombinedOutput()
	if err != nil {
		return fmt.Errorf("import %s: %w: %s", archive, err, out)
	}
	return nil
}
