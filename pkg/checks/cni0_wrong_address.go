package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// CNI0WrongAddress finds a CNI bridge whose address is of another subnet than the one that pods now get theirs from.
var CNI0WrongAddress = &check.Check{
	Name:  "cni0-wrong-address",
	Title: "The CNI's bridge has an address of another subnet than its pods",
	Since: "v0.1.0",
	Doc: markdown(`
The bridge plugin gives the bridge (~cni0~) the gateway's address of the node's pod subnet when the first pod comes. When the node gets another
subnet, because it was reset and joined again or because flannel lost its lease, the bridge keeps the old address, and the plugin refuses to go
on.

**How it is seen.** Every new pod on the node hangs in ~ContainerCreating~ with ~failed to set bridge addr: "cni0" already has an IP address
different from 10.244.2.1/24~. Pods that run keep their old addresses, which the other nodes now send to somebody else.

**Why.** ~ensureAddr~ of the bridge plugin (plugins/main/bridge/bridge.go) compares the bridge's first IPv4 address with the gateway's, prefix
length included. Tried with v1.9.1: another subnet, ~/16~ instead of ~/24~ and another host in the right subnet all fail; a second, wrong
address behind the right one does not. With ~forceAddress~ the plugin replaces it, so that is not judged.

The right address is flannel's ~FLANNEL_SUBNET~, or for host-local that of its subnet: any host of it counts as right here, because a range may
name its own gateway. Where neither is known, the address must at least be in
the node's pod CIDR; with another IPAM plugin nothing is judged.

**Fix.** Where no pod is attached, delete the bridge: the next ADD makes it anew with the right address. Where pods are attached, that would cut
them off, and they have addresses of the old subnet anyway: cordon and drain the node, delete the bridge, uncordon. netmend does neither by
itself.

**Cost.** Nothing where no pod is attached. There is no undo, and none is needed.

**When it is no fault.** A bridge without an address has not been used yet. IPv6 addresses are not judged: a bridge may have several.
`),
	Needs:    []facts.Kind{facts.KindCNIConfig, facts.KindPodLinks, facts.KindAddresses},
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		if mainPlugin(running(s.CNI)).Bridge == "" {
			return "the CNI in use has no bridge"
		}
		return ""
	},
	Run: runCNI0WrongAddress,
}

func runCNI0WrongAddress(s *facts.Snapshot) []check.Finding {
	p := mainPlugin(running(s.CNI))
	bridge := s.Host.LinkNamed(p.Bridge)
	if bridge == nil || bridge.Kind != "bridge" || !p.Gateway || p.ForceAddress {
		return nil
	}
	got := globalAddress(&s.Host, bridge.Index, true)
	want, source, right := gatewayPrefix(s, p, got)
	if !got.IsValid() || !want.IsValid() || right {
		return nil
	}
	pods := len(ports(s, bridge))
	f := check.Finding{
		Severity: check.Critical,
		On:       s.Host.Ref(bridge),
		Message:  fmt.Sprintf("%s has %s, but new pods get addresses of %s: every ADD fails", bridge.Name, got, want.Masked()),
		Evidence: []check.Evidence{
			{Fact: "address of " + bridge.Name, Got: got.String(), Want: want.String()},
			{Fact: "subnet by", Got: source},
		},
	}
	if s.Has(facts.KindLinks) {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "pods on " + bridge.Name, Got: fmt.Sprint(pods)})
	}
	remove := fix.Shell(&s.Host, "ip", "link", "delete", bridge.Name) + "  # the next pod makes it anew"
	if pods == 0 && s.Has(facts.KindLinks) {
		f.Fixes = []fix.Fix{{Title: "delete the empty bridge", Advice: []string{remove}}}
		return []check.Finding{f}
	}
	node := fix.Shell(nil, nodeName(s))
	f.Fixes = []fix.Fix{{
		Title:  "drain the node, then delete the bridge",
		Advice: []string{drain(s), remove, "kubectl uncordon " + node},
	}}
	return []check.Finding{f}
}

// gatewayPrefix gives the address that the bridge should have, who says so, and whether got will do. The zero Prefix means that nobody knows.
func gatewayPrefix(s *facts.Snapshot, p facts.CNIPlugin, got netip.Prefix) (want netip.Prefix, source string, right bool) {
	if p.Type == "flannel" {
		if s.CNI.Flannel == nil || !s.CNI.Flannel.Subnet.Addr().Is4() {
			return netip.Prefix{}, "", false
		}
		return s.CNI.Flannel.Subnet, "FLANNEL_SUBNET", got == s.CNI.Flannel.Subnet
	}
	if p.IPAM != "" && p.IPAM != "host-local" { // it has ranges of its own
		return netip.Prefix{}, "", false
	}
	subnets := slices.DeleteFunc(slices.Clone(p.Subnets), func(c netip.Prefix) bool { return !c.Addr().Is4() })
	if len(subnets) > 0 {
		return subnets[0], "host-local in " + running(s.CNI).Name, slices.ContainsFunc(subnets, func(c netip.Prefix) bool { return c.Masked() == got.Masked() })
	}
	for _, c := range s.Intent.NodePodCIDR {
		if c.Addr().Is4() {
			return c, "the node's pod CIDR", c.Contains(got.Addr())
		}
	}
	return netip.Prefix{}, "", false
}
