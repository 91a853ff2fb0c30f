package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// apiDiffers compares the addresses that pods get with those that the API server says the node has. A file is not asked: it may be of another time.
func apiDiffers(s *facts.Snapshot) []check.Finding {
	c := s.Intent.Cluster
	if c == nil || !s.Has(facts.KindServices) || c.Node == nil || c.Source != facts.SourceAPI || tooOld(c) != "" {
		return nil
	}
	if s.CNI == nil {
		return nil
	}
	p, env := mainPlugin(running(s.CNI)), s.CNI.Flannel
	switch {
	case p.Type == "flannel" && env == nil:
		if len(c.Node.PodCIDRs) == 0 {
			return []check.Finding{withoutPodCIDR(s)}
		}
	case flannelHere(s) && env != nil:
		got := []netip.Prefix{env.Subnet, env.IPv6Subnet}
		if k3sHere(s) {
			return otherSubnet(s, "FLANNEL_SUBNET", check.Critical, got, c.Node.PodCIDRs)
		}
		ofFlannel := slices.DeleteFunc(slices.Clone(c.Node.PodCIDRs), func(c netip.Prefix) bool { return !insideAny(c, []netip.Prefix{env.Network, env.IPv6Network}) })
		return otherSubnet(s, "FLANNEL_SUBNET", check.Warning, got, ofFlannel) // flannel that takes them from Kubernetes refuses one outside its network
	case p.Type == "bridge" && p.IPAM == "host-local":
		return otherSubnet(s, "host-local in "+running(s.CNI).Name, check.Info, p.Subnets, c.Node.PodCIDRs)
	}
	return nil
}

func k3sHere(s *facts.Snapshot) bool {
	return slices.ContainsFunc(s.Agents, func(a facts.Agent) bool { return a.Name == "k3s" })
}

func withoutPodCIDR(s *facts.Snapshot) check.Finding {
	return check.Finding{
		Severity: check.Critical,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: "podCIDR"},
		Message:  "the node was given no podCIDR, and flannel has no subnet: no pod gets an address",
		Evidence: []check.Evidence{
			{Fact: "spec.podCIDRs by the API server", Got: "empty", Want: "a subnet"},
			{Fact: "/run/flannel/subnet.env", Got: "absent"},
		},
		Fixes: []fix.Fix{{Title: "have Kubernetes give subnets to nodes", Advice: []string{
			"grep -n -e allocate-node-cidrs -e cluster-cidr /etc/kubernetes/manifests/kube-controller-manager.yaml  # on a control plane node: it needs --allocate-node-cidrs=true" +
				" and a --cluster-cidr with room for another node",
		}}},
		ByTruth: true,
	}
}

// otherSubnet finds families of which no subnet of the node's has anything in common with those that it was given.
func otherSubnet(s *facts.Snapshot, source string, severity check.Severity, subnets, given []netip.Prefix) (out []check.Finding) {
	for _, v4 := range []bool{true, false} {
		other := func(c netip.Prefix) bool { return !c.IsValid() || c.Addr().Is4() != v4 }
		got, want := slices.DeleteFunc(slices.Clone(subnets), other), slices.DeleteFunc(slices.Clone(given), other)
		if len(got) == 0 || len(want) == 0 || slices.ContainsFunc(got, func(c netip.Prefix) bool { return overlapsAny(c, want) }) {
			continue
		}
		on := facts.Ref{NetNS: s.Host.Inode, Name: "podCIDR"}
		if b := s.Host.LinkNamed(mainPlugin(running(s.CNI)).Bridge); b != nil {
			on = s.Host.Ref(b)
		}
		out = append(out, check.Finding{
			Severity: severity,
			On:       on,
			Message:  fmt.Sprintf("new pods get addresses of %s, but the cluster gave the node %s: others do not find them", got[0].Masked(), want[0].Masked()),
			Evidence: []check.Evidence{
				{Fact: source, Got: joined(got)},
				{Fact: "spec.podCIDRs by the API server", Got: joined(want)},
			},
			Fixes:   []fix.Fix{{Title: "have the node use its own subnet", Advice: useSubnet(s, source)}},
			ByTruth: true,
		})
	}
	return out
}

func useSubnet(s *facts.Snapshot, source string) []string {
	node := fix.Shell(nil, nodeName(s))
	advice := []string{drain(s)}
	switch {
	case source != "FLANNEL_SUBNET":
		advice = append(advice, "grep -n subnet "+fix.Shell(nil, s.CNI.Dir+"/"+running(s.CNI).Name)+"  # it needs the node's podCIDR")
	case k3sHere(s):
		advice = append(advice, "systemctl restart k3s-agent  # k3s on a server; it writes the subnet anew")
	default:
		advice = append(advice, "kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName="+node+"  # flanneld reads the podCIDR when it starts")
	}
	if b := mainPlugin(running(s.CNI)).Bridge; b != "" {
		advice = append(advice, fix.Shell(&s.Host, "ip", "link", "delete", b)+"  # the next pod makes it anew")
	}
	return append(advice, "kubectl uncordon "+node)
}

func joined(all []netip.Prefix) string {
	var out []string
	for _, p := range all {
		out = append(out, p.Masked().String())
	}
	return strings.Join(out, ", ")
}
