package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const (
	bridgeCallIPTables  = "net/bridge/bridge-nf-call-iptables"
	bridgeCallIP6Tables = "net/bridge/bridge-nf-call-ip6tables"
)

// BridgeNFCall finds a node whose bridged packets pass by the packet filter that carries Services.
var BridgeNFCall = &check.Check{
	Name:  "bridge-nf-call",
	Title: "Services fail between pods of one node: bridged packets pass by netfilter",
	Since: "v0.1.0",
	Doc: markdown(`
kube-proxy rewrites a packet for a ClusterIP to the address of a backend. If that backend is on the same bridge as the client, the answer goes
straight from one port of the bridge to the other, at layer 2, and nobody writes the ClusterIP back into it. The client gets an answer from an
address it never called and resets the connection.

**How it is seen.** A Service works from other nodes, and from this node while the backend is elsewhere; it times out whenever client and
backend share the node. Often it is DNS that fails, on the nodes where CoreDNS runs. A capture on ~cni0~ shows a SYN to the ClusterIP, a SYN to
the backend, and a SYN-ACK from the backend's own address.

**Why.** With ~net.bridge.bridge-nf-call-iptables = 1~ the module br_netfilter sends bridged IPv4 packets through the IP hooks, connection
tracking among them (net/bridge/br_netfilter_hooks.c), so that the answer is translated back. In spite of the name this is not about iptables:
tried on Linux 6.18, rules of nftables with the map that kube-proxy uses fail in the same way with 0 and work with 1. The value belongs to the
network namespace; where the directory does not exist, the module is not loaded. The Kubernetes documentation asks CNIs with a bridge for it
(Network Plugin Requirements).

It is critical where pods are attached to the bridge, and a warning where only the configuration names one.

**Fix.** Write 1; undo writes 0. Where the module is absent, load it: it starts with 1. netmend does that only when told to, and undo unloads
it.

**Cost.** Packets between ports of every bridge of this namespace, also of virtual machines and of docker0, now meet the rules of iptables and
nftables, and cost the processor time that this takes.

**When it is no fault.** Not for Calico, Cilium and others that route to each pod. Not where kube-proxy runs with ~masqueradeAll~, which hides
the client behind the node, nor where ~/sys/class/net/cni0/bridge/nf_call_iptables~ is 1 for the bridge itself; both are rare and cannot be seen
here. The value for IPv4 does not matter where pods have only IPv6, nor that for IPv6 where the bridge has none.
`),
	Needs:         []facts.Kind{facts.KindSysctls, facts.KindLinks, facts.KindProxy},
	Wants:         []facts.Kind{facts.KindCNIConfig, facts.KindAddresses, facts.KindSysctlFiles},
	Severity:      check.Critical,
	NotApplicable: noBridgedServices,
	Run:           runBridgeNFCall,
}

func noBridgedServices(s *facts.Snapshot) string {
	switch {
	case s.Proxy == nil || s.Proxy.Mode == "":
		return "no kube-proxy on this node"
	case s.Proxy.Replaced != "":
		return "Services are carried by " + s.Proxy.Replaced
	case podBridge(s) == nil:
		return "pods are not attached to a bridge"
	}
	return ""
}

// podBridge is the CNI's bridge that has pods; where none has, the one that the running configuration names. It is nil where pods have none.
func podBridge(s *facts.Snapshot) *facts.Link {
	var named *facts.Link
	main := mainPlugin(running(s.CNI))
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		switch {
		case !cniBridge(s, l):
		case len(ports(s, l)) > 0:
			return l
		case l.Name == main.Bridge:
			named = l
		}
	}
	return named
}

func runBridgeNFCall(s *facts.Snapshot) []check.Finding {
	if noBridgedServices(s) != "" {
		return nil
	}
	bridge := podBridge(s)
	var out []check.Finding
	if _, loaded := s.Host.Sysctls[bridgeCallIPTables]; !loaded || !onlyIPv6(s) { // without the module neither family's packets pass the hooks
		out = bridgeCalls(s, bridge, bridgeCallIPTables)
	}
	if _, ok := s.Host.Sysctls[bridgeCallIP6Tables]; ok && globalAddress(&s.Host, bridge.Index, false).IsValid() {
		out = append(out, bridgeCalls(s, bridge, bridgeCallIP6Tables)...)
	}
	return out
}

func bridgeCalls(s *facts.Snapshot, bridge *facts.Link, key string) []check.Finding {
	v, loaded := s.Host.Sysctls[key]
	if loaded && v != "0" {
		return nil
	}
	n := len(ports(s, bridge))
	f := check.Finding{
		Severity: check.Warning,
		On:       facts.Ref{NetNS: s.Host.Inode, Name: dotted(key)},
		Message:  fmt.Sprintf("%s is 0: a pod on %s cannot use a Service whose backend is on %s too", dotted(key), bridge.Name, bridge.Name),
		Evidence: []check.Evidence{
			{Fact: dotted(key), Got: "0", Want: "1"},
			{Fact: "pods on " + bridge.Name, Got: fmt.Sprint(n)},
			{Fact: "kube-proxy", Got: fmt.Sprintf("mode %s, by %s", s.Proxy.Mode, s.Proxy.Source)},
		},
	}
	if n > 0 {
		f.Severity = check.Critical
	}
	change := fix.Change{Knob: fix.Sysctl(key), On: f.On, From: v, To: "1"}
	title := "send bridged packets through netfilter"
	if !loaded {
		f.Message = fmt.Sprintf("br_netfilter is not loaded: a pod on %s cannot use a Service whose backend is on %s too", bridge.Name, bridge.Name)
		f.Evidence[0].Got = "absent"
		change = fix.Change{Knob: fix.Module("br_netfilter"), On: f.On, From: fix.Absent, To: fix.Loaded}
		title = "load br_netfilter, which starts with the value 1"
	}
	f.Evidence = append(f.Evidence, setAtBoot(s, key, "1")...)
	f.Fixes = []fix.Fix{{
		Title:   title,
		Cost:    "packets between ports of every bridge meet the packet filter, also those of virtual machines",
		Changes: []fix.Change{change},
	}}
	return []check.Finding{f}
}
