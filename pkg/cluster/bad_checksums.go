package cluster

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/nodereport"
)

// BadChecksums names the node that sends what another one drops.
var BadChecksums = &Check{
	Name:     "cluster-bad-checksums",
	Title:    "A node sends tunnel packets with bad outer checksums, which others drop",
	Since:    since,
	Severity: check.Critical,
	Needs:    []Source{Reports},
	Doc: `
The fault of tunnel-tx-checksum is at the node that **sends**, and only the node that **receives** counts it. This check brings both together.

**How it is seen.** On the receiver ~Udp: InCsumErrors~ in ~/proc/net/snmp~ and the drops of the tunnel's socket in ~/proc/net/udp~ rise; connections to a Service
take 1 s, 3 s or 63 s longer when its backend is there.

**What is judged.** A node says that packets to its tunnel's port came with a bad checksum in the last half hour. The others say to which ends
their source NAT has changed outer packets, by their connection tracking. A node that translates packets to the one that counts, by a tunnel of the same kind and
port whose transmit checksum offload is not off, is the sender: critical. On a node whose connection tracking hides for which port bad packets were, they count only
together with a sender whose offload is on. Where no connection tracking proves one, those with the offload on are suspects, and named
as such: a warning.

**Fix.** On the sender ~ethtool -K flannel.1 tx-checksum-ip-generic off~; ~on~ takes it back. ~netmendctl fix --check tunnel-tx-checksum~ does it there, and keeps
it.

**When it is no fault.** Translated packets alone: where nobody counts bad ones, the check says nothing. A node whose offload is off cannot send them: what its
connection tracking remembers is from before.
`,
	partial: linksOmitted,
	run:     runBadChecksums,
}

// tunnelEnd is a tunnel at one node.
type tunnelEnd struct {
	node   string
	report *nodereport.Report
	*nodereport.Tunnel
}

// sameTunnel is what tunnels have in common whose packets can meet.
type sameTunnel struct {
	kind string
	port uint16
}

func runBadChecksums(v *view) (out []Finding) {
	var g groups[sameTunnel, tunnelEnd]
	for _, r := range v.current {
		for i := range r.Status.Network.Tunnels {
			t := &r.Status.Network.Tunnels[i]
			g.add(sameTunnel{t.Kind, t.Port}, tunnelEnd{r.Metadata.Name, r, t})
		}
	}
	for _, k := range g.order {
		out = append(out, v.badChecksums(k, g.of[k])...)
	}
	return out
}

func (v *view) badChecksums(k sameTunnel, ends []tunnelEnd) (out []Finding) {
	at := map[netip.Addr][]string{} // the receivers by their addresses
	var receivers []string          // that know for which port the bad packets were
	sure := map[string]bool{}
	for _, e := range ends {
		if !e.BadChecksums && !e.BadChecksumsLikely {
			continue
		}
		if e.BadChecksums && !sure[e.node] {
			receivers, sure[e.node] = append(receivers, e.node), true
		}
		for _, a := range v.addressesOf(e.report) {
			if !slices.Contains(at[a], e.node) {
				at[a] = append(at[a], e.node)
			}
		}
	}
	if len(at) == 0 {
		return nil
	}
	explained := map[string]bool{}
	for _, e := range ends {
		if e.TxChecksum != nil && !*e.TxChecksum {
			continue
		}
		to := map[string]netip.Addr{}
		for _, a := range e.Translated {
			for _, node := range at[a.Unmap()] {
				if node != e.node {
					to[node] = a.Unmap()
				}
			}
		}
		if len(to) == 0 {
			continue
		}
		hit := sorted(to)
		for _, node := range hit {
			explained[node] = true
		}
		known := slices.ContainsFunc(hit, func(node string) bool { return sure[node] })
		if !known && e.TxChecksum == nil {
			continue // neither side is certain
		}
		out = append(out, proven(e, k, hit, to[hit[0]], known))
	}
	receivers = slices.DeleteFunc(receivers, func(node string) bool { return explained[node] })
	if len(receivers) > 0 {
		out = append(out, suspected(ends, k, receivers))
	}
	return out
}

func proven(e tunnelEnd, k sameTunnel, hit []string, address netip.Addr, known bool) Finding {
	f := finding(check.Critical, e.node, append([]string{e.node}, hit...), "%s sends packets of %s with bad outer checksums, and %s: source NAT changes their outer header", e.node, e.Name, drops(hit))
	counted := fmt.Sprintf("bad checksums at %s port %d", k.kind, k.port)
	if !known {
		counted = "bad UDP checksums, for a port that connection tracking hides"
	}
	f.prove(counted, "counted by "+list(hit), "none")
	f.prove("translated outer flows of "+e.node, "to "+address.String()+", which is "+hit[0], "none")
	f.prove("transmit checksum offload of "+e.Name+" on "+e.node, offload(e.TxChecksum), "off")
	f.Fixes = []fix.Fix{offloadOff(e.node, e.Name)}
	return f
}

func drops(nodes []string) string {
	if len(nodes) == 1 {
		return nodes[0] + " drops them"
	}
	return list(nodes) + " drop them"
}

func offload(on *bool) string {
	switch {
	case on == nil:
		return "unknown"
	case *on:
		return "on"
	}
	return "off"
}

func offloadOff(node, tunnel string) fix.Fix {
	return fix.Fix{
		Title: "on " + node + ", switch the transmit checksum offload of " + tunnel + " off", Cost: "the processor sums up what leaves through the tunnel, and TSO on it goes off too",
		Advice: []string{"ethtool -K " + word(tunnel) + " tx-checksum-ip-generic off", "netmendctl fix --check tunnel-tx-checksum"},
	}
}

// suspected is about receivers for whose bad packets no connection tracking names a sender.
func suspected(ends []tunnelEnd, k sameTunnel, receivers []string) Finding {
	var suspects []string
	name := ""
	for _, e := range ends {
		alone := len(receivers) == 1 && receivers[0] == e.node // nobody sends to itself through a tunnel
		if e.TxChecksum != nil && *e.TxChecksum && !alone && !slices.Contains(suspects, e.node) {
			suspects, name = append(suspects, e.node), e.Name
		}
	}
	on := receivers[0]
	if len(receivers) > 1 {
		on = count(len(receivers), "node", "nodes")
	}
	who := "no node that reports can send them: look at nodes without a report, at the network between, and at who else sends to that port"
	if len(suspects) > 0 {
		who = "no connection tracking proves who sends them; suspects are " + list(suspects) + ", whose checksum offload is on"
	}
	f := finding(check.Warning, on, append(slices.Clone(receivers), suspects...), "packets with bad outer checksums reach %s at %s port %d: %s", list(receivers), k.kind, k.port, who)
	f.prove(fmt.Sprintf("bad checksums at %s port %d", k.kind, k.port), "counted by "+list(receivers), "none")
	if len(suspects) > 0 {
		f.prove("transmit checksum offload on", list(suspects), "")
		f.Fixes = []fix.Fix{{Title: "on a suspect, look at what NAT does to the tunnel's packets", Advice: []string{
			"netmendctl audit --check tunnel-tx-checksum --window 60s",
			fmt.Sprintf("conntrack -L -p udp --dport %d --src-nat", k.port),
		}}, offloadOff(suspects[0], name)}
		return f
	}
	f.Fixes = []fix.Fix{{Title: "on the receiver, see from which address they come", Advice: []string{fmt.Sprintf("tcpdump -ni any -vv 'udp dst port %d' | grep -B1 'bad udp cksum'", k.port)}}}
	return f
}
