package collect_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
)

// TestRulesAreKept reads the rules of Services anew only when they are others.
func TestRulesAreKept(t *testing.T) {
	node := newNode(t)
	nft := func(script string) { node.must("ip", "netns", "exec", node.name, "nft", script) }
	nft(`add table ip kube-proxy; add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }; add chain ip kube-proxy service-x;
add element ip kube-proxy service-ips { 10.96.0.1 . tcp . 443 : goto service-x }`)
	h := node.open()
	cluster := &facts.Cluster{Source: facts.SourceAPI, All: []facts.Service{{Name: "default/kubernetes", ClusterIPs: []netip.Addr{netip.MustParseAddr("10.96.0.1")}}}}
	kinds := []facts.Kind{facts.KindAgents, facts.KindProxy, facts.KindServices, facts.KindServiceRules}
	var rules collect.Rules
	t.Cleanup(func() {
		if err := rules.Close(); err != nil {
			t.Error(err)
		}
	})
	first := collected(t, h, collect.Options{Kinds: kinds, Intent: facts.Intent{Cluster: cluster}, Rules: &rules})
	if first.ServiceRules == nil || len(first.ServiceRules.Paths) != 1 {
		t.Fatalf("the rules are %+v, missing %v; want one path", first.ServiceRules, first.Missing)
	}
	other := *cluster
	next := updated(t, h, first, collect.UpdateOptions{Kinds: kinds, Intent: facts.Intent{Cluster: &other}, Rules: &rules})
	if next.ServiceRules != first.ServiceRules || next.Intent.Cluster != &other {
		t.Error("rules that have not changed were read again, or what is wanted is not what was told last")
	}
	nft("delete element ip kube-proxy service-ips { 10.96.0.1 . tcp . 443 }")
	changed := updated(t, h, next, collect.UpdateOptions{Kinds: kinds, Intent: facts.Intent{Cluster: &other}, Rules: &rules})
	if changed.ServiceRules == nil || len(changed.ServiceRules.Paths) != 0 || len(next.ServiceRules.Paths) != 1 {
		t.Errorf("the rules are %+v, and before they were %+v; want none, and one", changed.ServiceRules, next.ServiceRules)
	}
	gone := updated(t, h, changed, collect.UpdateOptions{Kinds: kinds, Rules: &rules})
	if gone.ServiceRules != nil || gone.Intent.Cluster != nil || !strings.Contains(gone.Missing[facts.KindServiceRules], "nobody told") {
		t.Errorf("nobody tells any more, and the rules are %+v, missing %q", gone.ServiceRules, gone.Missing[facts.KindServiceRules])
	}
}
