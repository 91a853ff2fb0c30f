package e2e

import (
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestForwardSets has hand-written rules with sets and maps forward a pod's packets, or drop them. What the packets do and what is reported must agree.
// Only where a rule matches a part of the flows may a drop stay unreported; nothing may be reported that passes.
func TestForwardSets(t *testing.T) {
	t.Parallel()
	const states = "ct state { established, related } accept; "
	f := lab.NewFlannel(t, 4, "")
	f.Pods[1].Listen(f.Target())
	for _, tt := range []struct {
		name, policy, rules, more string
		drops                     bool
		unreported                bool // because the rules match only a part of what pods send
	}{
		{name: "answers alone", policy: "drop", rules: states, drops: true},
		{name: "answers by a map", policy: "drop", rules: "ct state vmap { established : accept, related : accept, invalid : drop }", drops: true},
		{name: "answers, and the rest dropped", policy: "accept", rules: "ct state vmap { established : accept, related : accept, * : drop }", drops: true},
		{name: "not answers", policy: "accept", rules: "ct state != { established, related } drop", drops: true},
		{name: "all states", policy: "drop", rules: "ct state { established, related, new } accept"},
		{name: "the pods' links", policy: "drop", rules: states + `iifname { "cni0", "eth0" } accept`},
		{name: "links of others", policy: "drop", rules: states + `iifname { "docker0", "virbr0" } accept`, drops: true},
		{name: "links by their start", policy: "drop", rules: `iifname { "cni*", "flannel*" } accept`},
		{name: "links of others by their start", policy: "drop", rules: states + `iifname { "cali*", "eth*" } accept`, drops: true},
		{name: "links by index", policy: "drop", rules: `iif { lo, cni0, flannel.1 } accept`},
		{name: "links of others by index", policy: "drop", rules: states + `iif { lo, eth0 } accept`, drops: true},
		{name: "networks with the pods'", policy: "drop", rules: "ip saddr { 10.0.0.0/8, 192.168.0.0/16 } accept"},
		{name: "networks without the pods'", policy: "drop", rules: states + "ip saddr { 172.16.0.0/12, 192.168.0.0/16 } accept", drops: true},
		{name: "an interval that is dropped", policy: "accept", rules: "ip saddr { 10.200.0.0-10.244.255.255, 192.0.2.0/24 } drop", drops: true},
		{name: "an interval around one pod", policy: "accept", rules: "ip saddr { 10.244.0.0-10.244.0.1, 10.244.0.3-10.244.0.255 } drop"},
		{name: "an interval with one pod", policy: "accept", rules: "ip saddr { 10.244.0.1-10.244.0.3, 192.0.2.0/24 } drop", drops: true, unreported: true},
		{name: "networks by verdict", policy: "accept", rules: "ip saddr vmap { 10.244.0.0/16 : drop, 10.0.0.0/9 : accept }", drops: true},
		{name: "dropped protocols", policy: "accept", rules: "meta l4proto { tcp, udp } drop", drops: true},
		{name: "other protocols", policy: "accept", rules: "meta l4proto { udp, icmp } drop"},
		{name: "other ports", policy: "drop", rules: states + "tcp dport { 80, 443 } accept", drops: true, unreported: true},
		{name: "that port", policy: "drop", rules: states + "tcp dport { 80, 8000-9000 } accept"},
		{name: "a chain that accepts", policy: "drop", rules: `iifname vmap { "cni0" : jump more, "flannel.1" : jump more }`, more: "accept"},
		{name: "a chain that accepts answers", policy: "drop", rules: `iifname vmap { "cni0" : jump more, "flannel.1" : goto more }`, more: states, drops: true},
		{name: "a chain for all but one link", policy: "accept", rules: `iifname vmap { "eth0" : accept, * : jump more }`, more: states + "drop", drops: true},
		{name: "returned from a chain", policy: "drop", rules: "jump more; accept", more: `iifname vmap { "cni0" : return, "flannel.1" : return, * : drop }`},
		{name: "two sets", policy: "drop", rules: `iifname { "cni0", "flannel.1" } ip daddr { 10.244.0.0/16, 10.96.0.0/12 } accept`},
		{name: "two sets of which one is of others", policy: "drop", rules: states + `iifname { "cni0", "flannel.1" } ip daddr { 10.0.0.0/16, 10.96.0.0/12 } accept`, drops: true},
		{name: "marked by address", policy: "drop", rules: "mark set ip saddr map { 10.244.0.2 : 1 }; " + states + "meta mark { 1, 2 } accept"},
		{name: "a named set", policy: "drop", rules: states + "iifname @others accept", drops: true, unreported: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := f.Nodes[0]
			n.Sh("nft -f - <<'END'\ntable inet guard {\n set others { type ifname; elements = { docker0 }\n }\n chain more {\n  " + tt.more +
				"\n }\n chain forward {\n  type filter hook forward priority 0; policy " + tt.policy + ";\n  " + tt.rules + "\n }\n}\nEND")
			defer n.Sh("nft delete table inet guard")
			limit := 2 * time.Second
			if tt.drops {
				limit = 300 * time.Millisecond
			}
			if _, err := f.Pods[0].Connect(f.Target(), limit); (err != nil) != tt.drops {
				t.Errorf("the pod connects: %v; want it to be dropped: %v", err, tt.drops)
			}
			r := n.Audit("--check", "forward-blocked")
			if tt.drops && !tt.unreported {
				r.Want("critical forward-blocked nft inet guard forward")
			} else {
				r.Want()
			}
		})
	}
}
