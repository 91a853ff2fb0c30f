package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What every cluster of the lab has.
const (
	ServiceCIDR = "10.96.0.0/16"
	ServiceV6   = "fd00:96::/112"
	PodCIDR     = "10.244.0.0/16"
	DNSAddress  = "10.96.0.10"

	controlPlane = "10.99.0.1"
	firstService = "10.96.0.1" // default/kubernetes
	token        = "lab"
)

// Cluster is a real control plane without controllers: etcd and kube-apiserver in a namespace of their own, which is also the switch and the router
// that nodes are joined to.
type Cluster struct {
	NS *NS

	t      TB
	bin    string
	dir    string // of its files
	server string // the API server's address
	client *http.Client
	api    *Process // the API server of NewCluster
	nodes  int
}

// Outside is a control plane that runs elsewhere, by the address at which this machine reaches its API server: that of the guest's host.
func Outside(t TB, server string) *Cluster {
	return &Cluster{t: t, server: server, client: &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 16,
	}}}
}

// NewCluster starts a control plane and waits until it is ready. It has the Services default/kubernetes and kube-system/kube-dns.
func NewCluster(t TB) *Cluster {
	t.Helper()
	c := newCluster(t)
	c.StartServer()
	c.createDNS()
	return c
}

// newCluster makes a control plane whose API server is not started yet.
func newCluster(t TB) *Cluster {
	t.Helper()
	c := &Cluster{NS: NewNS(t, "control"), t: t, bin: Cache(t, "kubernetes"), dir: t.TempDir(), server: controlPlane}
	c.NS.Sh("ip link add br0 type bridge; ip addr add " + controlPlane + "/24 dev br0; ip link set br0 up; sysctl -qw net.ipv4.ip_forward=1")
	c.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: 16,
		DialContext: func(_ context.Context, network, addr string) (conn net.Conn, err error) {
			err = c.NS.Do(func() error {
				conn, err = net.DialTimeout(network, addr, 10*time.Second)
				return err
			})
			return conn, err
		},
	}}
	if err := writeSecrets(filepath.Join(c.dir, "tokens"), filepath.Join(c.dir, "key")); err != nil {
		t.Fatalf("%v", err)
	}
	c.NS.Start(filepath.Join(c.bin, "etcd"), "--data-dir="+filepath.Join(c.dir, "etcd"), "--unsafe-no-fsync", "--log-level=error")
	return c
}

// startServer starts the API server and waits until it is ready. The file has the tokens of its clients, by which it knows them.
func (c *Cluster) startServer(tokens string, args ...string) *Process {
	c.t.Helper()
	key := filepath.Join(c.dir, "key")
	server := c.NS.Start(filepath.Join(c.bin, "kube-apiserver"), append([]string{"--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0", "--advertise-address=" + controlPlane, fmt.Sprintf("--secure-port=%d", apiPort), "--service-cluster-ip-range=" + ServiceCIDR + "," + ServiceV6,
		"--token-auth-file=" + tokens, "--authorization-mode=RBAC,Node",
		"--service-account-issuer=https://kubernetes.invalid", "--service-account-key-file=" + key, "--service-account-signing-key-file=" + key}, args...)...)
	WaitFor(c.t, 90*time.Second, "the API server", func() (bool, string) {
		body, err := c.do(http.MethodGet, "/readyz", nil)
		if err != nil {
			return false, err.Error() + tail(server.Log)
		}
		return string(body) == "ok", string(body) + tail(server.Log)
	})
	return server
}

// Join makes a node with an uplink to the control plane, known to the API by its namespace's name.
func (c *Cluster) Join(role string) *Node {
	c.t.Helper()
	n := NewNode(c.t, role)
	c.CreateNode(n.Name, c.wire(n))
	return n
}

// wire gives a node its uplink, and tells the node's address.
func (c *Cluster) wire(n *Node) (address string) {
	c.t.Helper()
	c.nodes++
	address = fmt.Sprintf("10.99.0.%d", 10+c.nodes)
	dev := fmt.Sprintf("node%d", c.nodes)
	Veth(c.NS, dev, n.NS, "eth0")
	c.NS.Sh("ip link set " + dev + " master br0")
	n.Sh("ip addr add " + address + "/24 dev eth0; ip route add default via " + controlPlane + "; sysctl -qw net.ipv4.ip_forward=1")
	return address
}

// Proxy runs the real kube-proxy on a node until the test ends, and waits until it has written its rules. The mode is iptables, iptables-legacy, nftables
// or ipvs.
func (c *Cluster) Proxy(n *Node, mode string) *Process {
	c.t.Helper()
	dir := c.t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	own, backend, _ := strings.Cut(mode, "-")
	if err := WriteProxyConfig(config, n.Name, own, controlPlane); err != nil {
		c.t.Fatalf("%v", err)
	}
	env := os.Environ()
	if backend != "" {
		env = append(env, "PATH="+backendPath(c.t, dir, backend)+":"+os.Getenv("PATH"))
	}
	var p *Process
	WaitFor(c.t, 5*time.Minute, "kube-proxy", func() (bool, string) {
		if p == nil || p.ended() { // it panics now and then as it starts, and is started again, as kubelet does
			cmd := n.Command(filepath.Join(c.bin, "kube-proxy"), "--config="+config)
			cmd.Env = env
			p = n.start(cmd, "kube-proxy")
		}
		_, err := n.Try(proxyServes[mode])
		return err == nil, fmt.Sprint(err) + tail(p.Log)
	})
	return p
}

// Cleanup runs kube-proxy --cleanup on a node, with one backend of iptables.
func (c *Cluster) Cleanup(n *Node, backend string) {
	c.t.Helper()
	n.Sh("PATH=" + backendPath(c.t, c.t.TempDir(), backend) + ":$PATH " + filepath.Join(c.bin, "kube-proxy") + " --cleanup 2>&1")
}

// backendPath makes a directory in which iptables is that of one backend.
func backendPath(t TB, dir, backend string) string {
	t.Helper()
	for _, program := range []string{"iptables", "ip6tables"} {
		for _, kind := range []string{"", "-save", "-restore"} {
			real, err := exec.LookPath(program + "-" + backend + kind)
			if err == nil {
				err = os.Symlink(real, filepath.Join(dir, program+kind))
			}
			if err != nil {
				t.Fatalf("%v", err)
			}
		}
	}
	return dir
}

// proxyServes are the commands that succeed when kube-proxy has written its rules, for the DNS Service in the name of all.
var proxyServes = map[string]string{
	"iptables":        "iptables-nft -t nat -S KUBE-SVC-TCOU7JCQXEZGVUNU",
	"iptables-legacy": "iptables-legacy -t nat -S KUBE-SVC-TCOU7JCQXEZGVUNU",
	"nftables":        "nft get element ip kube-proxy service-ips '{ " + DNSAddress + " . udp . 53 }'",
	"ipvs":            "ipvsadm -Ln -u " + DNSAddress + ":53",
}
