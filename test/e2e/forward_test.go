package e2e

import (
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestForwardBlocked has a firewall drop what the pods send, in one table and in two.
func TestForwardBlocked(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, rules, on string }{
		{"policy", "iptables-nft -F FORWARD; iptables-nft -P FORWARD DROP", "nft ip filter FORWARD"},
		{"rule at the end", "iptables-nft -I FORWARD -j REJECT", "nft ip filter FORWARD"},
		{"another table", "nft 'add table inet firewalld { chain filter_FORWARD { type filter hook forward priority filter + 10; policy drop; ct state established accept; }; }'",
			"nft inet firewalld filter_FORWARD"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := lab.NewFlannel(t, 4, "")
			n := f.Nodes[0]
			f.Pods[1].Listen(f.Target())
			n.Sh(tt.rules)
			if _, err := f.Pods[0].Connect(f.Target(), 500*time.Millisecond); err == nil {
				t.Fatal("the fault does not show: the pod connects")
			}
			r := n.Audit()
			if tt.name == "another table" { // its owner has to be told, by what the advice says in words
				r.Want("critical forward-blocked " + r.Find("forward-blocked").On.Name)
				n.Sh("nft insert rule inet firewalld filter_FORWARD ip saddr 10.244.0.0/16 accept; nft insert rule inet firewalld filter_FORWARD ip daddr 10.244.0.0/16 accept")
			} else {
				n.Mend(r.Want("critical forward-blocked " + r.Find("forward-blocked").On.Name))
			}
			if _, err := f.Pods[0].Connect(f.Target(), time.Second); err != nil {
				t.Errorf("after the fix: %v", err)
			}
			n.Audit().Want()
		})
	}
}
