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

// ForwardBlocked finds a base chain at the forward hook that lets no packet of a pod through.
var ForwardBlocked = &check.Check{
	Name:  "forward-blocked",
	Title: "A firewall drops what pods send or get through this node",
	Since: "v0.1.0",
	Doc: markdown(`
A packet of a pod is forwarded by the node, so it meets every chain at the forward hook. Docker sets the policy of ~FORWARD~ to DROP when it
starts, ufw and many a hand-made ~nftables.conf~ do too, and firewalld ends its own chain with a reject. Something has to accept the pods'
packets before.

**How it is seen.** Pods talk to pods on their own node and to nothing else, or with the firewall's reject to nobody at all ("No route to
host"). From the node itself everything works, because its own packets are not forwarded. It often begins when Docker or firewalld is
(re)started.

**Why.** All base chains at a hook are called in the order of their priority. An ~accept~ ends only the chain it stands in; a ~drop~ anywhere is
final (nft(8), "base chains"). So an accept in iptables does not save a packet from firewalld's nftables table. kube-proxy's KUBE-FORWARD
accepts what it has marked and answers, not a pod's first packet to another pod: with DROP and KUBE-FORWARD alone pods reach nothing, as seen on
Linux 6.18.

**How it is judged.** Packets of a pod to the other nodes' pods, or by the default route where there is no tunnel, and the answers to them are
followed through each base chain; on a Kubernetes node also connections from there, which are only worth knowing where no route says that other
nodes' pods are there: the only node of a cluster needs none. It is reported where every way ends in a drop or reject. A rule that is only
partly understood, or a chain that was not read, may accept: then nothing is proven and nothing reported.

**Fix.** Two accepts for the node's pod network, both ways, in a chain of netmend's own at the head of ~FORWARD~. The undo takes them out again.
They open no more than Kubernetes demands, but they are ahead of the firewall's own rules for those packets (DOCKER-USER among them). A native
nftables chain cannot be helped from outside: for firewalld put the pod network into the zone "trusted", for others add the accepts to the file
that makes the chain. Docker 28 and later leaves the policy alone with ~"ip-forward-no-drop": true~ in daemon.json.

**When it is no fault.** DROP with flannel's, Calico's, kube-router's or the firewall plugin's accepts; a node without pods; Cilium,
OVN-Kubernetes and Calico's eBPF data plane, which forward ahead of these chains.
`),
	Needs:         []facts.Kind{facts.KindNFTables, facts.KindLegacy, facts.KindCNIConfig},
	Wants:         []facts.Kind{facts.KindLinks, facts.KindRoutes},
	Window:        check.WantsWindow,
	Severity:      check.Critical,
	NotApplicable: forwardsElsewhere,
	Run:           runForwardBlocked,
}

// forwardsElsewhere says why the chains at the forward hook say nothing about pods.
func forwardsElsewhere(s *facts.Snapshot) string {
	for _, name := range []string{"cilium_host", "bpfin.cali", "ovn-k8s-mp0"} {
		if s.Host.LinkNamed(name) != nil {
			return "a data plane of its own (" + name + ") forwards pods' packets ahead of these chains"
		}
	}
	if slices.ContainsFunc(running(s.CNI).Plugins, func(p facts.CNIPlugin) bool { return p.Type == "firewall" }) {
		return "the CNI's firewall plugin accepts each pod by itself"
	}
	if own, cluster := podNetworks(s); len(own)+len(cluster)+len(podLinkNames(s)) == 0 {
		return "no pod network is known on this node"
	}
	return ""
}

// podNetworks gives the networks of this node's pods, and those of all nodes' pods, as far as they are configured.
func podNetworks(s *facts.Snapshot) (own, cluster []netip.Prefix) {
	cluster = append(cluster, s.Intent.PodCIDRs...)
	own = append(own, s.Intent.NodePodCIDR...)
	if s.CNI != nil && s.CNI.Flannel != nil {
		env := s.CNI.Flannel
		if len(cluster) == 0 {
			cluster = append(cluster, env.Network, env.IPv6Network)
		}
		if len(own) == 0 {
			own = append(own, env.Subnet, env.IPv6Subnet)
		}
	}
	if len(own) == 0 {
		for _, p := range running(s.CNI).Plugins {
			if s.Host.LinkNamed(p.Bridge) != nil || !s.Has(facts.KindLinks) {
				own = append(own, p.Subnets...)
			}
		}
	}
	return masked(own), masked(cluster)
}

// masked drops the host parts, and what is no prefix.
func masked(prefixes []netip.Prefix) (out []netip.Prefix) {
	for _, p := range prefixes {
		if p.IsValid() && p.Bits() > 0 {
			out = append(out, p.Masked())
		}
	}
	return out
}

func runForwardBlocked(s *facts.Snapshot) []check.Finding {
	own, cluster := podNetworks(s)
	var out []check.Finding
	for _, b := range forwardChains(&s.Host) {
		var flows []podFlow
		var cidrs []netip.Prefix
		for _, v6 := range []bool{false, true} {
			if b.table.Family == "ip6" && !v6 || b.table.Family == "ip" && v6 {
				continue
			}
			pods := ofFamily(own, v6)
			if len(pods) == 0 {
				pods = ofFamily(cluster, v6)
			}
			if len(pods) > 0 || !v6 && len(own)+len(cluster) == 0 {
				flows = append(flows, podFlows(s, pods, ofFamily(own, v6), ofFamily(cluster, v6), v6)...)
				cidrs = append(cidrs, pods...)
			}
		}
		if f, ok := judgeForward(s, b, flows); ok {
			f.Fixes = acceptPods(s, b, f.On, cidrs, cluster)
			out = append(out, f)
		}
	}
	return out
}

// forwardChains gives the base chains at the forward hook of both IP versions, each once.
func forwardChains(ns *facts.Namespace) []baseChain {
	out := hookChains(ns, "forward", false)
	for _, b := range hookChains(ns, "forward", true) {
		if b.table.Family != "inet" {
			out = append(out, b)
		}
	}
	return out
}

func ofFamily(prefixes []netip.Prefix, v6 bool) (out []netip.Prefix) {
	for _, p := range prefixes {
		if p.Addr().Is6() == v6 {
			out = append(out, p)
		}
	}
	return out
}

// judgeForward reports the flows of which a chain drops every packet.
func judgeForward(s *facts.Snapshot, b baseChain, flows []podFlow) (check.Finding, bool) {
	f := check.Finding{Severity: check.Info, On: facts.Ref{NetNS: s.Host.Inode, Name: b.name()}}
	var what []string
	for _, flow := range flows {
		got, by := walkFilter(b.table, b.chain, flow.packet)
		if got != dropped {
			continue
		}
		if !flow.fromOutside {
			f.Severity = check.Critical
		}
		if !slices.Contains(what, flow.what) {
			what = append(what, flow.what)
		}
		f.Evidence = append(f.Evidence, check.Evidence{Fact: flow.String(), Got: by, Want: "accepted"})
	}
	if len(what) == 0 {
		return f, false
	}
	f.Message = fmt.Sprintf("%s drops %s", b.name(), strings.Join(what, ", "))
	if f.Severity == check.Info {
		f.Message += " from beyond this node: no fault where it is the only node"
	}
	if p := b.chain.Packets; p != nil && b.chain.Policy == "drop" {
		e := check.Evidence{Fact: "packets that met the policy of " + b.chain.Name, Got: fmt.Sprint(*p)}
		if d := b.chain.DeltaPackets; d != nil {
			e.Got += " (" + risen(s, *d) + ")"
		}
		f.Evidence = append(f.Evidence, e)
	}
	return f, true
}

// acceptPods is the way to let the pods' packets through that chain. An accept in another chain would not help, so a rule is offered only where it lands in this one.
func acceptPods(s *facts.Snapshot, b baseChain, on facts.Ref, cidrs, cluster []netip.Prefix) []fix.Fix {
	advice := fix.Fix{Title: "let the program that made the chain accept the pods", Advice: forwardAdvice(b, cidrs, cluster)}
	if b.chain.Name != "FORWARD" || b.table.Name != "filter" || !b.table.IPTables() || len(cidrs) == 0 {
		return []fix.Fix{advice}
	}
	accept := fix.Fix{
		Title: "accept the pods' packets at the head of FORWARD",
		Cost:  "rules of this firewall for packets of pods, behind the accepts, no longer count",
	}
	for _, cidr := range cidrs {
		c := fix.Change{Knob: fix.RuleForwardAccept(cidr), On: on, To: fix.Present}
		spec, err := fix.ParseRule(c.Knob)
		if err != nil {
			return []fix.Fix{advice}
		}
		sites, err := spec.Place(s.Host.Tables)
		if err != nil || !slices.Contains(sites, fix.RuleSite{Backend: b.table.Backend, Family: b.table.Family}) {
			return []fix.Fix{advice}
		}
		if c.From, err = fix.Get(s, c); err != nil || c.From == fix.Present {
			return []fix.Fix{advice}
		}
		accept.Changes = append(accept.Changes, c)
	}
	return []fix.Fix{accept, advice}
}

func forwardAdvice(b baseChain, cidrs, cluster []netip.Prefix) (out []string) {
	if b.table.Name == "firewalld" {
		if len(cluster) == 0 {
			cluster = cidrs
		}
		for _, c := range cluster { // a zone takes packets by their source, and those to this node's pods come from other nodes' too
			out = append(out, fix.Shell(nil, "firewall-cmd", "--permanent", "--zone=trusted", "--add-source="+c.String()))
		}
		return append(out, "firewall-cmd --reload")
	}
	for _, c := range cidrs {
		out = append(out, fmt.Sprintf("accept source %s and destination %s ahead of the drop", c, c))
	}
	if b.table.IPTables() {
		return append(out, "find who sets the policy or the rule: Docker (28 and later: \"ip-forward-no-drop\": true in /etc/docker/daemon.json), ufw (DEFAULT_FORWARD_POLICY in /etc/default/ufw), a script")
	}
	return append(out, fix.Shell(nil, "nft", "list", "table", b.table.Family, b.table.Name)+"  # its file is mostly /etc/nftables.conf")
}
