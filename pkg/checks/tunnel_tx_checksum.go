package checks

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// TunnelTxChecksum finds tunnels whose outer checksum is spoilt by source NAT.
var TunnelTxChecksum = &check.Check{
	Name:  "tunnel-tx-checksum",
	Title: "Source NAT spoils the outer UDP checksum of a vxlan or geneve tunnel",
	Since: "v0.1.0",
	Doc: markdown(`
A tunnel with transmit checksum offload leaves the checksum of its outer UDP header to be finished later. When source NAT then rewrites the
outer header, the checksum is finished wrongly, and the node at the other end drops the packet before it is unpacked.

**How it is seen.** A Service answers at once when its backend is on the same node and after 1 s (3 s or 63 s on old kernels) when it is on
another, because the retransmitted SYN takes another outer port. Pod addresses and NodePorts are mostly fine. On the node that **receives**,
~Udp: InCsumErrors~ in ~/proc/net/snmp~ rises; where it tracks no connections, so does the last column, drops, of the tunnel's line in
~/proc/net/udp~ (~:2118~ is 8472, ~:12B5~ is 4789, ~:17C1~ is 6081). The fault is at the node that **sends**.

**Why.** It takes three things: ~tx-checksum-ip-generic~ on at the tunnel, an inner packet whose checksum is offloaded, and an outer flow that
NAT changes. NAT that changes nothing, such as plain MASQUERADE on a node with one address, is no fault. What changes outer flows:

- ~MASQUERADE --random-fully~ met with kube-proxy's mark 0x4000, which the outer packet inherits. kube-proxy takes the mark away first since
  1.16.13, 1.17.9 and 1.18.6 (kubernetes/kubernetes#92035).
- MASQUERADE of any kind where the tunnel's local address is not the one that the kernel would choose on the uplink, as on a NIC with a static
  address and one from DHCP.

A device that sends no outer checksum (~noudpcsum~) was hit too until Linux 5.7 (commit ea64d8d6c675, also in 5.6.13, 5.4.41, 4.19.123 and
4.14.181); on a fixed kernel it is not judged. One with ~udpcsum~, the default since Linux 4.6, and a tunnel over IPv6 are still hit on 6.1 and
6.18. So the kernel's version alone proves nothing, and a distribution's version says nothing about the fix.

Critical: translated outer flows in the connection table, or packets with bad checksums that arrive on the tunnel's port. Warning: rules that
will translate them. Info: the offload is on, and nothing was found that translates; there is nothing to do. Where connection tracking hides for
which port bad packets were, they prove nothing about this tunnel and are only mentioned: udp-incsum-errors reports them.

**Fix.** ~ethtool -K flannel.1 tx-checksum-ip-generic off~ on every node that sends. It takes effect at once and also turns TSO off on the
tunnel; ~on~ brings both back. The setting is lost when the CNI makes the device anew. Instead, a rule that accepts the tunnel's port ahead of
masquerading keeps the offload; flows that are translated already stay so until they end. A second address on the NIC remains a fault of its own
(dhcp-static-same-nic).

**Cost.** The processor sums up each byte that leaves through the tunnel: lower throughput on fast NICs.

**No fault.** Tunnels driven by flow metadata (Cilium, Open vSwitch, Antrea) are judged only by bad checksums that arrive, and never changed.
NAT of other machines' tunnels that this node merely forwards is theirs.
`),
	Needs: []facts.Kind{facts.KindTunnels, facts.KindFeatures},
	Wants: []facts.Kind{
		facts.KindNFTables, facts.KindLegacy, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFDB, facts.KindTunnelNAT, facts.KindCounters,
		facts.KindSockets, facts.KindConntrack,
	},
	Window:   check.WantsWindow,
	Severity: check.Critical,
	Settle:   10 * time.Second,
	NotApplicable: func(s *facts.Snapshot) string {
		for i := range s.Host.Links {
			if udpTunnel(&s.Host.Links[i]) {
				return ""
			}
		}
		return "no vxlan or geneve tunnel"
	},
	Run: runTunnelTxChecksum,
}

func udpTunnel(l *facts.Link) bool {
	return l.Tunnel != nil && (l.Kind == "vxlan" || l.Kind == "geneve")
}

func runTunnelTxChecksum(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		if !udpTunnel(l) || !l.Up || !l.Features[facts.FeatureTxChecksum].On {
			continue
		}
		j := judgeTxChecksum(s, l)
		if f, found := j.finding(); found {
			out = append(out, f)
		}
	}
	return out
}

// txChecksum is what is known of one tunnel whose transmit checksum offload is on.
type txChecksum struct {
	s        *facts.Snapshot
	l        *facts.Link
	sends    *bool           // an outer checksum; nil where that is not known
	fixed    fixState        // the kernel leaves a checksum of 0 alone, which matters where none is sent
	flows    []facts.NATFlow // of this node, translated
	errors   uint64          // bad checksums that came, with drops on the tunnel's socket
	drops    uint64
	hidden   uint64    // bad checksums that came, for a port that connection tracking hides
	nat      *outerNAT // what will translate; nil for nothing
	accepted string    // the state of the rule that keeps the tunnel's port from being translated; empty where it cannot be told
}

func judgeTxChecksum(s *facts.Snapshot, l *facts.Link) *txChecksum {
	j := &txChecksum{s: s, l: l, sends: sendsChecksum(&s.Host, l)}
	// ea64d8d6c675 (netfilter: nat: never update the UDP checksum when it's 0)
	j.fixed = hasFix(s.Node.Kernel, version{5, 7, 0}, []version{{5, 6, 13}, {5, 4, 41}, {4, 19, 123}, {4, 14, 181}})
	j.errors, j.drops = tunnelChecksumErrors(s, l)
	if l.Tunnel.Collect {
		return j
	}
	j.hidden = hiddenErrors(s, &s.Host, l)
	j.flows = ownTranslatedFlows(&s.Host, l)
	if state, err := fix.Get(s, j.acceptRule("", "")); err == nil {
		j.accepted = state
	}
	if j.accepted != fix.Present {
		j.nat = outerTranslation(&s.Host, l)
	}
	return j
}

// sendsChecksum says whether the tunnel's outer packets have a UDP checksum. Over IPv4 and IPv6 that are two switches.
func sendsChecksum(ns *facts.Namespace, l *facts.Link) *bool {
	switch {
	case l.Tunnel.Collect:
		return nil
	case outerV6(ns, l):
		return l.Tunnel.CSum6Tx
	}
	return l.Tunnel.UDPCsum
}

// harmless says that no translation can spoil the checksums: none is sent, and this kernel leaves it at that.
func (j *txChecksum) harmless() bool {
	return j.sends != nil && !*j.sends && j.fixed == fixThere
}

// tunnelChecksumErrors gives by how much bad UDP checksums and drops on the tunnel's socket rose; zero unless both did.
func tunnelChecksumErrors(s *facts.Snapshot, l *facts.Link) (errors, drops uint64) {
	for _, name := range []string{"Udp.InCsumErrors", "Udp6.InCsumErrors"} {
		d, _ := delta(&s.Host, name)
		errors += d
	}
	drops = socketDrops(&s.Host, l.Tunnel.Port)
	if errors == 0 || drops == 0 {
		return 0, 0
	}
	return errors, drops
}

// socketDrops gives by how much the drops of the UDP sockets on a port rose.
func socketDrops(ns *facts.Namespace, port uint16) (drops uint64) {
	for _, u := range ns.UDPSockets {
		if u.Local.Port() == port && port != 0 && u.DeltaDrops != nil {
			drops += *u.DeltaDrops
		}
	}
	return drops
}

// ownTranslatedFlows gives the translated outer flows that the node itself sends. Those that it forwards for others carry finished checksums.
func ownTranslatedFlows(ns *facts.Namespace, l *facts.Link) (out []facts.NATFlow) {
	own := map[netip.Addr]bool{l.Tunnel.Local.Unmap(): true}
	for _, a := range ns.Addresses {
		own[a.Prefix.Addr().Unmap()] = true
	}
	for _, f := range ns.TunnelNAT {
		if f.Dst.Port() == l.Tunnel.Port && f.Src.IsValid() && own[f.Src.Addr().Unmap()] {
			out = append(out, f)
		}
	}
	return out
}

func (j *txChecksum) acceptRule(from, to string) fix.Change {
	return fix.Change{Knob: fix.RuleTunnelAccept(j.l.Tunnel.Port), On: facts.Ref{NetNS: j.s.Host.Inode}, From: from, To: to}
}

// finding weighs what is known; there is none where the offload can do no harm.
func (j *txChecksum) finding() (check.Finding, bool) {
	f := check.Finding{Severity: check.Info, On: j.s.Host.Ref(j.l), Evidence: j.evidence()}
	switch {
	case j.harmless(), j.l.Tunnel.Collect && j.drops == 0:
		return f, false
	case len(j.flows) > 0 && j.accepted != fix.Present:
		f.Severity = check.Critical
		f.Message = fmt.Sprintf("source NAT rewrites packets of %s whose checksum is not finished: peers drop them", j.l.Name)
	case len(j.flows) > 0:
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("source NAT still rewrites older flows of %s whose checksum is not finished: peers drop them until the flows end", j.l.Name)
	case j.drops > 0 && j.accepted != fix.Present:
		f.Severity = check.Critical
		f.Message = fmt.Sprintf("packets with a bad checksum arrive on port %d of %s: nodes with tunnels like this one leave checksums unfinished", j.l.Tunnel.Port, j.l.Name)
	case j.drops > 0:
		f.Message = fmt.Sprintf("packets with a bad checksum arrive on port %d of %s: the nodes that send them need the fix that this one has", j.l.Tunnel.Port, j.l.Name)
	case j.nat != nil:
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("source NAT will rewrite packets of %s whose checksum is not finished: %s", j.l.Name, j.nat.why)
	default:
		f.Message = j.l.Name + " leaves checksums to be finished later; harmless as long as nothing translates its outer packets"
		f.Evidence[0].Want = ""
		return f, true
	}
	f.Fixes = j.fixes()
	return f, true
}

func (j *txChecksum) evidence() []check.Evidence {
	out := []check.Evidence{{Fact: facts.FeatureTxChecksum + " of " + j.l.Name, Got: fix.On, Want: fix.Off}}
	switch {
	case j.sends == nil:
	case *j.sends:
		out = append(out, check.Evidence{Fact: "outer UDP checksum of " + j.l.Name, Got: "sent"})
	case j.fixed == fixMissing:
		out = append(out, check.Evidence{Fact: "kernel", Got: j.s.Node.Kernel + ", which translates a checksum of 0"})
	default:
		out = append(out, check.Evidence{Fact: "kernel", Got: j.s.Node.Kernel + ", which may translate a checksum of 0"})
	}
	if j.nat != nil {
		out = append(out, j.nat.evidence...)
	}
	if n := len(j.flows); n > 0 {
		f := j.flows[0]
		got := fmt.Sprintf("%d, such as %s to %s, which leaves as %s", n, f.Src, f.Dst, f.ReplyDst)
		out = append(out, check.Evidence{Fact: "translated outer flows", Got: got, Want: "0"})
	}
	if j.drops > 0 {
		out = append(out,
			check.Evidence{Fact: "Udp InCsumErrors", Got: risen(j.s, j.errors), Want: "+0"},
			check.Evidence{Fact: fmt.Sprintf("drops of the socket on port %d", j.l.Tunnel.Port), Got: risen(j.s, j.drops), Want: "+0"})
	}
	if j.hidden > 0 {
		out = append(out, check.Evidence{Fact: "Udp InCsumErrors", Got: risen(j.s, j.hidden) + "; connection tracking hides for which port"})
	}
	return out
}

func (j *txChecksum) fixes() []fix.Fix {
	if j.l.Tunnel.Collect || j.l.Features[facts.FeatureTxChecksum].Fixed {
		return []fix.Fix{{
			Title:  "find the nodes that send bad checksums",
			Advice: []string{"on each node: netmendctl audit --check tunnel-tx-checksum", "or let the program that made " + j.l.Name + " switch its outer checksum off"},
		}}
	}
	out := []fix.Fix{{
		Title:   "switch the transmit checksum offload of " + j.l.Name + " off",
		Cost:    "the processor sums up what leaves through the tunnel, and TSO on it goes off too",
		Changes: []fix.Change{{Knob: fix.Ethtool(facts.FeatureTxChecksum), On: j.s.Host.Ref(j.l), From: fix.On, To: fix.Off}},
	}}
	if (j.nat != nil || len(j.flows) > 0) && j.accepted != "" && j.accepted != fix.Present && j.l.Tunnel.Port != 0 {
		out = append(out, fix.Fix{
			Title:   "accept UDP port " + strconv.Itoa(int(j.l.Tunnel.Port)) + " ahead of masquerading",
			Cost:    "a rule in a chain that others use too; NAT that is meant for that port no longer happens",
			Changes: []fix.Change{j.acceptRule(j.accepted, fix.Present)},
		})
	}
	return out
}
