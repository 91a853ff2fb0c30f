package cni

import (
	"path/filepath"
	"strings"
	"testing"
)

// proxies are the ways in which kube-proxy carries a Service, as scripts for a node: the rules that it writes, and how they go missing. IPVS, which not every kernel has,
// is tried in package guest.
func proxies() []struct{ name, write, lose string } {
	return []struct{ name, write, lose string }{
		{
			"nftables", `nft 'table ip kube-proxy {
				chain service-2QRHZV4L-default/kubernetes/tcp/https { counter; }
				map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 10.96.0.1 . tcp . 443 : goto service-2QRHZV4L-default/kubernetes/tcp/https }; }
				chain services { type nat hook prerouting priority -100; ip daddr . meta l4proto . th dport vmap @service-ips; }
			}'`,
			"nft delete element ip kube-proxy service-ips '{ 10.96.0.1 . tcp . 443 }'",
		},
		{"iptables", services, "iptables-nft -t nat -F; iptables-nft -t nat -X KUBE-SVC-NPX46M4PTMTKRN6Y"},
		{"iptables, with a chain that no rule leads to", services, "iptables-nft -t nat -F KUBE-SERVICES"},
		{"iptables, beside what IPVS mode has left", services + "\nip link add kube-ipvs0 type bridge", "iptables-nft -t nat -F KUBE-SERVICES"},
	}
}

// TestServiceRules takes the rules for the API server's Service away, in each mode of kube-proxy.
func TestServiceRules(t *testing.T) {
	t.Parallel()
	for _, tt := range proxies() {
		t.Run(tt.name, func(t *testing.T) {
			n := bareNode(t)
			n.Sh(tt.write)
			pod, netmend := n.added(t)
			netmend["checks"] = map[string]string{"service-rules-missing": "enforce"}
			netmend["services"] = []any{map[string]any{"name": "default/kubernetes:https", "vip": "10.96.0.1", "port": 443, "protocol": "tcp"}}
			netmend["failurePolicy"] = "Fail" // it is judged
			add := call{plugin: "netmend", command: "ADD", pod: pod}
			if o := n.must(n.run(add, netmend)); len(o.err) > 0 {
				t.Errorf("all rules are there, and yet: %s", o.err)
			}
			n.Sh(tt.lose)
			if o := n.run(add, netmend); o.fail == nil || o.fail.Code != 104 || !strings.Contains(o.fail.Msg, "default/kubernetes") {
				t.Errorf("%s; want code 104", o.fail)
			}
		})
	}
}

// TestServiceRulesOfLegacy leaves the rules of iptables-legacy, of which the kernel tells nothing but all, to the daemon.
func TestServiceRulesOfLegacy(t *testing.T) {
	t.Parallel()
	n := bareNode(t)
	n.Sh("iptables-legacy -t nat -N KUBE-SERVICES")
	pod, netmend := n.added(t)
	socket, log := filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "log")
	netmend["mode"], netmend["logFile"] = "enforce", log
	add := call{plugin: "netmend", command: "ADD", pod: pod}
	n.must(n.run(add, netmend))
	netmend["failurePolicy"] = "Fail"
	if o := n.run(add, netmend); o.fail == nil || o.fail.Code != 100 || !strings.Contains(o.fail.Msg, "service-rules-missing could not be judged") {
		t.Errorf("nobody can tell: %s; want code 100", o.fail)
	}
	netmend["socket"] = socket
	answer := `{"netmend":1,"age":1,"judged":["service-rules-missing"],"findings":[`
	finding := `{"check":"service-rules-missing","severity":"critical","on":{"netns":1,"name":"kube-proxy"},"message":"no rules for default/kubernetes"}`
	told := daemon(t, socket, answer+finding+"]}")
	o, _ := n.heard(add, netmend, told)
	if o.fail == nil || o.fail.Code != 104 {
		t.Errorf("the daemon knows: %s; want code 104", o.fail)
	}
}
