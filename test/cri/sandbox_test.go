package cri

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// fault is something wrong with the node. Its scripts know the next pod's address as $IP and the node's files as $ROOT.
type fault struct {
	name, check string
	bring, mend string
	words       []string // that the error has
	answer      string   // of the daemon, where only that knows
}

func faults() []fault {
	return []fault{
		{
			name: "pod MTU above tunnel MTU", check: "pod-mtu-mismatch", bring: "ip link set eth0 mtu 1400; ip link set flannel.1 mtu 1350", mend: "ip link set eth0 mtu 1500; ip link set flannel.1 mtu 1450",
			words: []string{"1450", "1350", "flannel.1", "eth0"},
		},
		{name: "tunnel above uplink", check: "tunnel-mtu-over-uplink", bring: "ip link set eth0 mtu 1480", mend: "ip link set eth0 mtu 1500", words: []string{"flannel.1", "1430"}},
		{
			name: "tunnel checksum, as the daemon knows", check: "tunnel-tx-checksum", bring: "true", mend: "true", words: []string{"flannel.1", "bad checksums"},
			answer: `{"netmend":1,"age":2,"judged":["tunnel-tx-checksum"],"findings":[{"check":"tunnel-tx-checksum","severity":"critical","on":{"netns":1,"index":2,"name":"flannel.1"},"message":"packets leave with bad checksums"}]}`,
		},
		{name: "service rules missing", check: "service-rules-missing", bring: noServices, mend: services, words: []string{"default/kubernetes"}},
		{name: "address of the node", check: "duplicate-ip-local", bring: "ip link add br1 type bridge; ip link set br1 up; ip addr add $IP/32 dev br1", mend: "ip link del br1", words: []string{"br1"}},
		{name: "route to elsewhere", check: "duplicate-ip-local", bring: "ip link add br1 type bridge; ip link set br1 up; ip route add $IP/32 dev br1", mend: "ip link del br1", words: []string{"br1"}},
		{name: "forwarding off", check: "ip-forward", bring: "sysctl -qw net.ipv4.conf.cni0.forwarding=0", mend: "sysctl -qw net.ipv4.conf.cni0.forwarding=1", words: []string{"cni0"}},
		{
			name: "tunnel from a foreign address", check: "vtep-identity", bring: "ip link del flannel.1; " + strings.ReplaceAll(tunnel, "192.0.2.1", "192.0.2.99"), mend: "ip link del flannel.1; " + tunnel,
			words: []string{"192.0.2.99"},
		},
		{
			name: "tunnel from the DHCP address", check: "dhcp-static-same-nic",
			bring: "ip link del flannel.1; ip addr add 192.0.2.15/24 dev eth0 valid_lft 3600 preferred_lft 3600; " + strings.ReplaceAll(tunnel, "192.0.2.1", "192.0.2.15"),
			mend:  "ip link del flannel.1; ip addr del 192.0.2.15/24 dev eth0; " + tunnel, words: []string{"192.0.2.15"},
		},
	}
}

// bridge and portmap are the plugins before netmend.
func bridge() map[string]any {
	return map[string]any{
		"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "mtu": 1450,
		"ipam": map[string]any{"type": "host-local", "ranges": []any{[]any{map[string]any{"subnet": "10.244.0.0/24"}}}, "routes": []any{map[string]any{"dst": "0.0.0.0/0"}}},
	}
}

func portmap() map[string]any {
	return map[string]any{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}}
}

// netmend has a timeout for busy machines.
func netmend(checks map[string]string) map[string]any {
	return map[string]any{"type": "netmend", "timeout": "5s", "logFile": "/var/log/netmend.log", "checks": checks}
}

// TestSandboxes starts pods: healthy ones start in silence. With a fault, they start and it is told, or, where its check is enforced, they are refused, in
// words that kubelet shows, and nothing of them is left. Once the fault is mended the same pod starts.
func TestSandboxes(t *testing.T) {
	n := newNode(t)
	c := start(t, n)
	c.configure(bridge(), portmap(), netmend(map[string]string{}))
	c.healthy("first")
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			outer := c.t
			c.t = t
			defer func() { c.t = outer }()
			c.testFault(f)
		})
	}
}

func (c *engine) testFault(f fault) {
	c.t.Helper()
	c.configure(bridge(), portmap(), netmend(map[string]string{}))
	r, log, err := c.runFaulty(f)
	if err != nil {
		c.t.Fatalf("warn: %v", err)
	}
	if !strings.Contains(log, `"verdict":"warn"`) || !strings.Contains(log, `"check":"`+f.check+`"`) {
		c.t.Errorf("warn: the log says %q", log)
	}
	if !strings.Contains(c.log(), `"check":"`+f.check+`"`) {
		c.t.Errorf("warn: the runtime's log does not have the warning")
	}
	c.stop(r.PodSandboxId)
	c.shell(f.mend)

	c.configure(bridge(), portmap(), netmend(map[string]string{f.check: "enforce"}))
	r, log, err = c.runFaulty(f)
	if err == nil {
		c.stop(r.PodSandboxId)
		c.t.Fatalf("enforce: the pod started; %s", log)
	}
	for _, word := range append(f.words, `plugin type="netmend" failed (add)`, "netmend: "+f.check+": ", "docs/checks/"+f.check+".md") {
		if !strings.Contains(err.Error(), word) {
			c.t.Errorf("enforce: %q is not in %v", word, err)
		}
	}
	if traces := c.traces(); traces != "" {
		c.t.Errorf("enforce: of the refused pod is left:\n%s", traces)
	}
	c.shell(f.mend)
	c.healthy("web")
}

// runFaulty brings a fault in and starts the pod. Where the daemon is to be heard, it starts it until that answered in time, which a busy machine may prevent.
func (c *engine) runFaulty(f fault) (*cri.RunPodSandboxResponse, string, error) {
	c.t.Helper()
	if f.answer != "" {
		defer daemon(c.t, c.Node, f.answer)()
	}
	for try := 1; ; try++ {
		c.shell(f.bring)
		mark := c.mark()
		r, err := c.RunPodSandbox(c.t.Context(), &cri.RunPodSandboxRequest{Config: c.pod("web")})
		log := c.since(mark)
		if f.answer == "" || strings.Contains(log, `"cached"`) || try == 50 {
			return r, log, err
		}
		c.stop(r.PodSandboxId)
	}
}

// healthy starts a pod on a node without a fault, and ends it: nobody complains, and nothing of it is left.
func (c *engine) healthy(name string) {
	c.t.Helper()
	mark := c.mark()
	r, err := c.RunPodSandbox(c.t.Context(), &cri.RunPodSandboxRequest{Config: c.pod(name)})
	if err != nil {
		c.t.Fatalf("healthy: %v", err)
	}
	if log := c.since(mark); !strings.Contains(log, `"command":"ADD"`) || !strings.Contains(log, `"verdict":"pass"`) || !strings.Contains(log, `"pod":"default/`+name+`"`) {
		c.t.Errorf("healthy: the log says %q", log)
	}
	if traces := c.traces(); strings.Count(traces, "\n") < 5 {
		c.t.Errorf("a running pod has no more than\n%s", traces)
	}
	c.stop(r.PodSandboxId)
	if log := c.since(mark); !strings.Contains(log, `"command":"DEL"`) {
		c.t.Errorf("healthy: the log says %q", log)
	}
	if traces := c.traces(); traces != "" {
		c.t.Errorf("of the pod is left:\n%s", traces)
	}
}

// shell runs a script of a fault.
func (c *engine) shell(script string) {
	c.t.Helper()
	c.Sh("ROOT=" + c.Root + "; IP=" + next(c.t, c.Node) + "; " + script)
}

// mark is where netmend's log ends now, and since what it has behind that.
func (c *engine) mark() int { return len(c.since(0)) }

func (c *engine) since(mark int) string {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(c.Root, "var/log/netmend.log"))
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	return string(data[mark:])
}
