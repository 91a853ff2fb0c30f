package checks

import (
	"fmt"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// incsumPerMinute is the rate from which bad UDP checksums are more than stray packets.
const incsumPerMinute = 3

// UDPInCsumErrors finds UDP packets that arrive with a bad checksum.
var UDPInCsumErrors = &check.Check{
	Name:  "udp-incsum-errors",
	Title: "UDP packets arrive with a bad checksum and are dropped",
	Since: "v0.1.0",
	Doc: markdown(`
The kernel drops a UDP packet whose checksum is wrong, without an answer. On a tunnel's port each such packet is a packet of a pod.

**How it is seen.** Connections between nodes take a second or more to open, DNS answers are missing now and then. ~Udp: InCsumErrors~ in
~/proc/net/snmp~ (~Udp6InCsumErrors~ in ~/proc/net/snmp6~) rises. Where the node tracks no connections, the drops column of the socket in
~/proc/net/udp~ rises with it, for a tunnel in the line of its port: ~:2118~ is 8472, ~:12B5~ is 4789, ~:17C1~ is 6081. A capture shows the
packet arriving, and tcpdump -vv says ~bad udp cksum~.

**Why.** The kernel verifies the checksum before it delivers a packet, for tunnels before it unpacks one (~udp_queue_rcv_one_skb~), and counts a
failure in InCsumErrors and on the socket. The node that **sent** the packet is at fault, not the one that counts: a NAT that spoilt an
unfinished checksum (tunnel-tx-checksum), or a NIC whose offload for tunnels is broken.

With **connection tracking**, which every node with Services has, the socket's drops stay as they are: tracking sums the packet up first, counts
it as ~invalid~ (~conntrack -S~), and UDP refuses it before it looks for a socket (~nf_ip_checksum~, ~udp4_csum_init~; measured on 6.18). Then
nobody counts which port the packets were for, and a tunnel on the node is the likely one.

Critical: the drops of a tunnel's own socket rise with the counter. Warning, from 3 errors a minute on: drops on another socket; a tunnel on
the node whose socket connection tracking hides; or sockets that could not be read. Info: that many errors without any of it, which is what
damaged packets to closed ports look like; the internet is full of them.

**Fix.** None on this node. Audit the nodes that send. To learn which they are, capture for a while on the uplink with the command that is
given and read the source addresses of the packets that tcpdump calls bad.

**No fault.** A capture on the node that **sends** shows bad checksums on every healthy node with checksum offload: the NIC finishes them after
tcpdump has seen them; so the command takes incoming packets only. Below 3 a minute on other ports nothing is reported.
`),
	Needs:    []facts.Kind{facts.KindCounters},
	Wants:    []facts.Kind{facts.KindSockets, facts.KindTunnels, facts.KindConntrack},
	Pods:     true,
	Window:   check.NeedsWindow,
	Counters: []string{"Udp.InCsumErrors", "Udp6.InCsumErrors"},
	Severity: check.Critical,
	Settle:   10 * time.Second,
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for _, ns := range readable(s, facts.KindCounters) {
			if f, found := badChecksums(s, ns); found {
				out = append(out, f)
			}
		}
		return out
	},
}

func badChecksums(s *facts.Snapshot, ns *facts.Namespace) (check.Finding, bool) {
	names := []string{"Udp.InCsumErrors", "Udp6.InCsumErrors"}
	var errors uint64
	for _, name := range names {
		d, _ := delta(ns, name)
		errors += d
	}
	if errors == 0 {
		return check.Finding{}, false
	}
	f := check.Finding{On: counterRef(ns, names[0]), Evidence: risenEvidence(s, ns, names...)}
	tunnel, tunnelDrops := droppingTunnel(ns)
	likely := likelyTunnel(s, ns)
	socket, socketDrops := droppingSocket(ns)
	switch {
	case tunnel != nil:
		f.Severity = check.Critical
		f.Message = fmt.Sprintf("bad checksums (%d %s) on port %d of %s: pods lose packets from other nodes", errors, during(s), tunnel.Tunnel.Port, tunnel.Name)
		f.Evidence = append(f.Evidence, check.Evidence{Fact: fmt.Sprintf("drops of the socket on port %d", tunnel.Tunnel.Port), Got: risen(s, tunnelDrops), Want: "+0"})
		f.Fixes = []fix.Fix{findSenders(ns, tunnel)}
		return f, true
	case perMinute(s, errors) < incsumPerMinute:
		return f, false
	case likely != nil:
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("bad UDP checksums (%d %s): connection tracking hides which socket they were for; the tunnel %s is the likely one", errors, during(s), likely.Name)
		f.Evidence = append(f.Evidence, trackingEvidence(s, ns)...)
		f.Fixes = []fix.Fix{findSenders(ns, likely)}
		return f, true
	case socketsHidden(ns, errors):
		f.Severity = check.Info
		f.Message = fmt.Sprintf("bad UDP checksums (%d %s): connection tracking hides which socket they were for, and there is no tunnel that it could be", errors, during(s))
		f.Evidence = append(f.Evidence, trackingEvidence(s, ns)...)
		return f, true
	case socket != nil:
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("bad UDP checksums (%d %s), with drops of the socket %s", errors, during(s), socket.Local)
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "drops of the socket " + socket.Local.String(), Got: risen(s, socketDrops), Want: "+0"})
	case !socketsRead(s, ns):
		f.Severity = check.Warning
		f.Message = fmt.Sprintf("bad UDP checksums (%d %s); on which port is not known", errors, during(s))
	default:
		f.Severity = check.Info
		f.Message = fmt.Sprintf("bad UDP checksums (%d %s), to no socket that dropped any", errors, during(s))
		return f, true
	}
	f.Fixes = []fix.Fix{{
		Title:  "find who sends bad checksums",
		Advice: []string{fix.Shell(ns, "timeout", "60", "tcpdump", "-ni", "any", "-Q", "in", "-vv", "udp") + " | grep -B1 'bad udp cksum'"},
	}}
	return f, true
}

// findSenders is what can be done here about packets for a tunnel: find out who sends them.
func findSenders(ns *facts.Namespace, tunnel *facts.Link) fix.Fix {
	return fix.Fix{
		Title: "find the nodes that send bad checksums",
		Advice: []string{
			fix.Shell(ns, "timeout", "60", "tcpdump", "-ni", "any", "-Q", "in", "-vv", "udp", "dst", "port", fmt.Sprint(tunnel.Tunnel.Port)) + " | grep -B1 'bad udp cksum'",
			"on those nodes: netmendctl audit --check tunnel-tx-checksum",
		},
	}
}

// trackingEvidence tells what connection tracking saw of the packets.
func trackingEvidence(s *facts.Snapshot, ns *facts.Namespace) []check.Evidence {
	if d, known := ns.Conntrack.Delta["invalid"]; known {
		return []check.Evidence{{Fact: "packets that connection tracking calls invalid", Got: risen(s, d)}}
	}
	return []check.Evidence{{Fact: "tracked connections", Got: fmt.Sprint(ns.Conntrack.Count)}}
}

func socketsRead(s *facts.Snapshot, ns *facts.Namespace) bool {
	if ns == &s.Host {
		return s.Has(facts.KindSockets)
	}
	return s.PodHas(ns, facts.KindSockets)
}

// droppingTunnel finds the first tunnel whose socket's drops rose.
func droppingTunnel(ns *facts.Namespace) (*facts.Link, uint64) {
	for i := range ns.Links {
		if l := &ns.Links[i]; udpTunnel(l) {
			if drops := socketDrops(ns, l.Tunnel.Port); drops > 0 {
				return l, drops
			}
		}
	}
	return nil, 0
}

// droppingSocket finds the socket whose drops rose most.
func droppingSocket(ns *facts.Namespace) (worst *facts.UDPSocket, drops uint64) {
	for i := range ns.UDPSockets {
		if u := &ns.UDPSockets[i]; u.DeltaDrops != nil && *u.DeltaDrops > drops {
			worst, drops = u, *u.DeltaDrops
		}
	}
	return worst, drops
}
