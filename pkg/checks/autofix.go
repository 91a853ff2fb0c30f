package checks

import (
	"path"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// AutoRule says whether fixes of a check's findings may be made without a person asking for them.
type AutoRule struct {
	Check string
	Auto  bool           // some may: those that Least and Only let through
	Why   string         // one sentence, for the check's page
	Least check.Severity // how severe the finding must be at least
	Only  []string       // "KNOB=VALUE" patterns of [path.Match]; each change of the fix must match one
}

// AutoFix is the rule of every check that offers a change; one that only advises has none. A fix may run unasked where its cause is proven on
// this node, it is undone by one write, it breaks no connection, and no sensible configuration wants the value it replaces.
func AutoFix() []AutoRule {
	return []AutoRule{
		{
			Check: "bridge-nf-call", Auto: true, Least: check.Warning,
			Only: []string{string(fix.Sysctl("net/bridge/bridge-nf-call-iptables")) + "=1", string(fix.Sysctl("net/bridge/bridge-nf-call-ip6tables")) + "=1"},
			Why:  "a bridge CNI with kube-proxy needs 1, the module's own default; loading the module, which every bridge feels, is left to a person",
		},
		{Check: "conntrack-full", Why: "a larger table costs memory, what fills it may be an attack, and kube-proxy writes its own limit when it starts"},
		{Check: "conntrack-invalid-reset", Why: "a firewall on the node may rely on telling packets outside of the window"},
		{Check: "forward-blocked", Why: "it opens what a firewall on this node closed, and only a person knows whether that was meant"},
		{Check: "hairpin", Why: "the pod runs, and its configuration or a later plugin will do the same to the next one"},
		{
			Check: "ip-forward", Auto: true, Least: check.Critical,
			Only: []string{string(fix.Sysctl("net/ipv4/ip_forward")) + "=1", string(fix.Sysctl("net/ipv4/conf/*/forwarding")) + "=1"},
			Why:  "a node without forwarding carries no packet of any pod; IPv6 is left to a person, because forwarding makes the kernel ignore router advertisements",
		},
		{Check: "ipam-capacity", Why: "an address that is released by mistake is given to a second pod"},
		{Check: "ipv6-pod", Why: "somebody switched IPv6 off in this pod, and its addresses have to be added again beside"},
		{Check: "ipvs-sysctls", Why: "another program changed what kube-proxy set, and may do so again: it has to be found"},
		{Check: "listen-overflow", Why: "a longer queue helps only after the program that listens is restarted, and hides one that is too slow"},
		{Check: "neigh-overflow", Why: "a larger table costs memory and hides that the network is too flat"},
		{Check: "pod-mtu-mismatch", Why: "the pod runs with open connections, and the next pod gets the same MTU until the CNI's configuration is right"},
		{Check: "rp-filter-strict", Why: "the filter may be wanted, as a protection against false source addresses"},
		{
			Check: "tcp-tw-recycle", Auto: true, Least: check.Warning,
			Only: []string{string(fix.Sysctl("net/ipv4/tcp_tw_recycle")) + "=0"},
			Why:  "the sysctl drops connections of clients behind NAT, takes effect at once in both directions, and was removed from the kernel for that",
		},
		{
			Check: "tunnel-tx-checksum", Auto: true, Least: check.Warning,
			Only: []string{string(fix.Ethtool(facts.FeatureTxChecksum)) + "=" + fix.Off},
			Why:  "the offload goes off at once, breaks no connection and comes back by one write; the rule that keeps it is left to a person, because it stands in a chain that others use",
		},
	}
}

// MayRunUnasked says whether a fix of a finding may be made unasked. It is false for advice and for a check without a rule.
func MayRunUnasked(f check.Finding, x fix.Fix) bool {
	for _, r := range AutoFix() {
		if r.Check == f.Check {
			return r.Auto && f.Severity >= r.Least && len(x.Changes) > 0 && !slices.ContainsFunc(x.Changes, r.outside)
		}
	}
	return false
}

// outside tells a change that matches none of the rule's patterns.
func (r AutoRule) outside(c fix.Change) bool {
	return !slices.ContainsFunc(r.Only, func(pattern string) bool {
		ok, err := path.Match(pattern, string(c.Knob)+"="+c.To)
		return err == nil && ok
	})
}
