package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/netmend/netmend/test/e2e/containerd"
	"github.com/netmend/netmend/test/e2e/lab"
)

// worker is a node on which kubelet starts pods.
type worker struct {
	*lab.Machine
	address string // of its uplink
	proxy   string // the mode of kube-proxy
	web     string // the address of a pod

	before map[string]string // its files before netmend came
	faulty string            // its knobs before netmend mended it

	t       *testing.T
	c       *lab.Managed
	kubelet *lab.Process
}

// kubeletConfig has what this machine's control groups and disks need; the rest is kubelet's default.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
containerRuntimeEndpoint: unix://` + containerd.Socket + `
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
clusterDNS: [` + lab.DNSAddress + `]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
evictionHard: {}
failSwapOn: false
`

// files of this machine that a node has too.
const ownFiles = "alternatives passwd group nsswitch.conf protocols services os-release debian_version iproute2"

// newMachine makes a node's machine: what an installer has put there before it meets a cluster.
func newMachine(t *testing.T, n *lab.Node, c *lab.Managed) *lab.Machine {
	t.Helper()
	if _, err := lab.Shell("cd /etc; for f in " + ownFiles + "; do [ ! -e $f ] || cp -a $f " + n.Root + "/etc/; done; " +
		"mkdir -p " + n.Root + "/opt/kubernetes " + n.Root + "/etc/kubernetes; ln -sfn /run " + n.Root + "/var/run"); err != nil {
		t.Fatal(err)
	}
	n.Write("etc/hosts", "127.0.0.1 localhost\n127.0.1.1 %s\n", n.Name)
	n.Write("etc/hostname", "%s\n", n.Name)
	n.Write("etc/machine-id", "%032x\n", n.Inode())
	n.Write("etc/resolv.conf", "nameserver %s\n", lab.DNSAddress)
	n.Write("etc/containerd.toml", "%s", containerd.Config("/opt/cni/bin"))
	n.Write("etc/kubernetes/kubelet.yaml", "%s", kubeletConfig)
	n.Write("etc/kubernetes/kubelet.kubeconfig", "%s", c.Identity(n.Name))
	n.Write("etc/kubernetes/proxy.kubeconfig", "%s", c.Identity("kube-proxy"))
	for _, program := range []string{"kubelet", "kube-proxy"} {
		place(t, c.Program(program), filepath.Join(n.Root, "opt/kubernetes", program))
	}
	for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
		place(t, filepath.Join(lab.Cache(t, "cni"), plugin), filepath.Join(n.Root, "opt/cni/bin", plugin))
	}
	return n.Machine()
}

// place copies a program.
func place(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// startRuntime runs containerd with these images, given by their archives.
func (w *worker) startRuntime(archives ...string) {
	w.t.Helper()
	p := w.Start("containerd", "--config", "/etc/containerd.toml")
	w.c.ShowLog(w.t, p)
	socket := filepath.Join(w.Root, containerd.Socket)
	w.c.Await("containerd of "+w.Name, func() (bool, string) {
		_, err := os.Stat(socket)
		return err == nil, fmt.Sprint(err) + lab.Tail(p.Log, 10)
	})
	for _, archive := range archives {
		if err := containerd.Import(socket, archive); err != nil {
			w.t.Fatalf("%v%s", err, lab.Tail(p.Log, 10))
		}
	}
}

// startKubelet runs kubelet, for the first time or again.
func (w *worker) startKubelet() {
	w.t.Helper()
	w.kubelet = w.Start("/opt/kubernetes/kubelet", "--config=/etc/kubernetes/kubelet.yaml", "--kubeconfig=/etc/kubernetes/kubelet.kubeconfig", "--node-ip="+w.address)
	w.c.ShowLog(w.t, w.kubelet)
}

// startProxy runs kube-proxy.
func (w *worker) startProxy() {
	w.t.Helper()
	w.Write("etc/kubernetes/proxy.yaml", "%s", lab.ProxyConfig("/etc/kubernetes/proxy.kubeconfig", w.Name, w.proxy))
	w.c.ShowLog(w.t, w.Start("/opt/kubernetes/kube-proxy", "--config=/etc/kubernetes/proxy.yaml"))
}

// configure writes the list of plugins as flannel's DaemonSet does, for pods of the node's addresses.
func (w *worker) configure(subnet string) {
	w.t.Helper()
	w.Write("etc/cni/net.d/10-flannel.conflist", `{
  "name": "cbr0",
  "cniVersion": "1.0.0",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "isDefaultGateway": true, "hairpinMode": true, "mtu": 1450,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": %q}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, subnet, lab.PodCIDR)
}
