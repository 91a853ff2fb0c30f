package cni

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestMend asks for the three fixes: the pod passes without a warning, and is as it should be.
func TestMend(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ check, node, pod, ask, want string }{
		{"pod-mtu-mismatch", "ip link set $(ls /sys/class/net/cni0/brif) mtu 1400", "", "cat /sys/class/net/eth0/mtu", "1400"},
		{"hairpin", "bridge link set dev $(ls /sys/class/net/cni0/brif) hairpin off", "", "true", ""},
		{"ipv6-pod", "true", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", "ip -6 -br addr show dev eth0; ip -6 route show default", "fd00:244::"},
	} {
		t.Run(tt.check, func(t *testing.T) {
			n := kubernetesNode(t)
			bridge, netmend := plugins(t)
			pod := lab.NewNS(t, "pod")
			result := n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out
			netmend["prevResult"], netmend["fix"], netmend["timeout"], netmend["mode"] = json.RawMessage(result), []string{tt.check}, "10s", "enforce"
			n.Sh(tt.node)
			if tt.pod != "" {
				pod.Sh(tt.pod)
			}
			o := n.must(n.run(call{plugin: "netmend", command: "ADD", pod: pod}, netmend))
			if len(o.err) > 0 {
				t.Errorf("still a warning: %s", o.err)
			}
			if got := pod.Sh(tt.ask); !strings.Contains(got, tt.want) {
				t.Errorf("%s gives %q; want %q", tt.ask, got, tt.want)
			}
			if tt.check == "pod-mtu-mismatch" && !strings.Contains(string(o.out), `"mtu":1400`) {
				t.Errorf("the result does not tell the new MTU: %s", o.out)
			}
			delete(netmend, "fix")
			n.must(n.run(call{plugin: "netmend", command: "CHECK", pod: pod}, netmend))
		})
	}
}

// TestStatus closes and opens the gate.
func TestStatus(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	conf := map[string]any{"cniVersion": "1.1.0", "gate": []string{"service-rules-missing", "tunnel-mtu-over-uplink"}, "timeout": "10s"}
	n.must(n.run(call{plugin: "netmend", command: "STATUS"}, conf))
	n.must(n.run(call{plugin: "netmend", command: "GC"}, conf))
	n.Sh("iptables-nft -t nat -F; iptables-nft -t nat -X KUBE-SVC-NPX46M4PTMTKRN6Y")
	if o := n.run(call{plugin: "netmend", command: "STATUS"}, conf); o.fail == nil || o.fail.Code != 50 || !strings.Contains(o.fail.Msg, "service-rules-missing") {
		t.Errorf("STATUS: %s; want code 50", o.fail)
	}
	conf["mode"] = "off" // which is for pods
	if o := n.run(call{plugin: "netmend", command: "STATUS"}, conf); o.fail == nil || o.fail.Code != 50 {
		t.Errorf("STATUS in mode off: %s; want code 50", o.fail)
	}
	conf["gate"] = []string{"tunnel-mtu-over-uplink"} // which does not fail
	n.must(n.run(call{plugin: "netmend", command: "STATUS"}, conf))
	delete(conf, "gate")
	n.must(n.run(call{plugin: "netmend", command: "STATUS"}, conf))
}
