package cri

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/netmend/netmend/test/e2e/containerd"
	"github.com/netmend/netmend/test/e2e/lab"
)

func TestMain(m *testing.M) {
	os.Setenv("NETMENDCTL", "/bin/true") // which these tests do not use
	os.Exit(lab.Main(m.Run))
}

// engine is a container runtime that has a node for itself: its network, its processes, and its files below /etc, /run and /var.
type engine struct {
	*lab.Node
	cri.RuntimeServiceClient
	images cri.ImageServiceClient

	t       *testing.T
	process *lab.Process
	cgroup  string // the parent of the sandboxes' control groups
	attempt uint32
}

// enter makes this shell's mounts those of a node and becomes containerd. /sys shows the devices of the namespace in which it is mounted, and the control
// groups are mounted below it.
const enter = `
mkdir -p "$ROOT/cgroup"
mount --rbind /sys/fs/cgroup "$ROOT/cgroup"
umount -l /sys
mount -t sysfs sysfs /sys
mount --rbind "$ROOT/cgroup" /sys/fs/cgroup
mount --bind "$ROOT/etc" /etc
mount --bind "$ROOT/run" /run
mount --bind "$ROOT/var" /var
exec containerd --config /etc/containerd.toml
`

// start runs containerd on the node. Its processes, the sandboxes' among them, have a process namespace, and end with it.
func start(t *testing.T, n *lab.Node) *engine {
	t.Helper()
	c := &engine{Node: n, t: t, cgroup: fmt.Sprintf("/netmend-lab-%d", os.Getpid())}
	n.Write("etc/containerd.toml", "%s", containerd.Config("/var/lib/cni/bin"))
	n.Write("etc/hosts", "127.0.0.1 localhost\n")
	n.Write("etc/resolv.conf", "nameserver 10.96.0.10\n")
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "nsenter", "--net="+n.Path, "sh", "-euc", enter)
	cmd.Env = append(os.Environ(), "ROOT="+n.Root)
	t.Cleanup(c.removeGroups)
	c.process = n.StartCommand(cmd, "containerd")
	conn, err := grpc.NewClient("unix://"+filepath.Join(n.Root, containerd.Socket), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c.RuntimeServiceClient, c.images = cri.NewRuntimeServiceClient(conn), cri.NewImageServiceClient(conn)
	lab.WaitFor(t, 3*time.Minute, "containerd", func() (bool, string) {
		_, err := c.Version(t.Context(), &cri.VersionRequest{})
		return err == nil, fmt.Sprint(err, "\n", c.log())
	})
	c.load()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.log())
		}
	})
	return c
}

// load gives the runtime the sandbox's image.
func (c *engine) load() {
	c.t.Helper()
	dir := c.t.TempDir()
	program, path := filepath.Join(dir, "pause"), filepath.Join(dir, "pause.tar")
	err := lab.Build(program, "./test/cri/pause")
	if err == nil {
		err = containerd.WriteImage(path, containerd.PauseImage, program)
	}
	if err == nil {
		err = containerd.Import(filepath.Join(c.Root, containerd.Socket), path)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	lab.WaitFor(c.t, 3*time.Minute, "the image", func() (bool, string) {
		r, err := c.images.ImageStatus(c.t.Context(), &cri.ImageStatusRequest{Image: &cri.ImageSpec{Image: containerd.PauseImage}})
		return err == nil && r.Image != nil, fmt.Sprint(r, err)
	})
}

// removeGroups removes the control groups that the runtime leaves.
func (c *engine) removeGroups() {
	for _, pattern := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/*"} {
		dirs, _ := filepath.Glob(pattern + c.cgroup) // the pattern is a right one
		for _, dir := range dirs {
			inner, _ := filepath.Glob(filepath.Join(dir, "*/"))
			for _, d := range append(inner, dir) {
				_ = os.Remove(d) // files in it cannot be removed, and need not
			}
			if _, err := os.Stat(dir); err == nil {
				c.t.Errorf("%s is left", dir)
			}
		}
	}
}

func (c *engine) log() string {
	data, err := os.ReadFile(c.process.Log)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// configure gives the runtime a list of plugins, and waits until it has read it.
func (c *engine) configure(plugins ...map[string]any) {
	c.t.Helper()
	list, err := json.Marshal(map[string]any{"cniVersion": "1.0.0", "name": "pods", "plugins": plugins})
	if err != nil {
		c.t.Fatal(err)
	}
	c.Write("etc/cni/net.d/10-pods.conflist.new", "%s", list)
	path := filepath.Join(c.Root, "etc/cni/net.d/10-pods.conflist")
	if err := os.Rename(path+".new", path); err != nil {
		c.t.Fatal(err)
	}
	lab.WaitFor(c.t, 3*time.Minute, "the list of plugins to be read", func() (bool, string) {
		r, err := c.Status(c.t.Context(), &cri.StatusRequest{Verbose: true})
		if err != nil {
			return false, err.Error()
		}
		var known struct {
			Networks []struct{ Config struct{ Source string } }
		}
		if err := json.Unmarshal([]byte(r.Info["cniconfig"]), &known); err != nil {
			return false, err.Error()
		}
		for _, n := range known.Networks {
			if n.Config.Source == string(list) {
				return true, ""
			}
		}
		return false, r.Info["cniconfig"] + r.Info["lastCNILoadStatus"]
	})
}

// pod is what kubelet asks for: each time it is the next attempt at the same pod.
func (c *engine) pod(name string) *cri.PodSandboxConfig {
	c.attempt++
	return &cri.PodSandboxConfig{
		Metadata: &cri.PodSandboxMetadata{Name: name, Uid: "uid-" + name, Namespace: "default", Attempt: c.attempt}, Hostname: name,
		PortMappings: []*cri.PortMapping{{Protocol: cri.Protocol_TCP, ContainerPort: 80, HostPort: 8080}},
		Linux:        &cri.LinuxPodSandboxConfig{CgroupParent: c.cgroup},
	}
}

// stop ends a pod as kubelet does.
func (c *engine) stop(id string) {
	c.t.Helper()
	if _, err := c.StopPodSandbox(c.t.Context(), &cri.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		c.t.Fatalf("stop: %v", err)
	}
	if _, err := c.RemovePodSandbox(c.t.Context(), &cri.RemovePodSandboxRequest{PodSandboxId: id}); err != nil {
		c.t.Fatalf("remove: %v", err)
	}
}

// traces are what a pod has on the node: its sandbox, its end of a link, its reservation, its namespace, its ports and what the runtime keeps of its network.
func (c *engine) traces() string {
	c.t.Helper()
	r, err := c.ListPodSandbox(c.t.Context(), &cri.ListPodSandboxRequest{})
	if err != nil {
		c.t.Fatal(err)
	}
	var out []string
	for _, s := range r.Items {
		out = append(out, "sandbox "+s.Id)
	}
	for _, l := range strings.Fields(c.Sh("ls /sys/class/net/cni0/brif 2>/dev/null || true")) {
		out = append(out, "link "+l)
	}
	for _, pattern := range []string{"var/lib/cni/networks/pods/10.*", "var/lib/cni/results/*", "run/netns/*"} {
		paths, err := filepath.Glob(filepath.Join(c.Root, pattern))
		if err != nil {
			c.t.Fatal(err)
		}
		out = append(out, paths...)
	}
	for line := range strings.SplitSeq(c.Sh("iptables-nft-save -t nat 2>/dev/null"), "\n") {
		if strings.Contains(line, "-A CNI-DN-") || strings.Contains(line, "8080") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}
