package checks

import "github.com/netmend/netmend/pkg/facts"

// socketsHidden says whether connection tracking refused the packets with bad checksums, so that no socket's drops tell for whom they were. It sums a
// packet up before the socket is looked up and counts it as invalid (nf_ip_checksum, net/netfilter/utils.c); UDP then knows that it is bad without
// asking a socket, and counts InCsumErrors alone (udp4_csum_init, net/ipv4/udp.c; udp6_csum_init, net/ipv6/ip6_checksum.c).
func socketsHidden(ns *facts.Namespace, errors uint64) bool {
	if ns.Conntrack == nil {
		return false
	}
	if invalid, known := ns.Conntrack.Delta["invalid"]; known {
		return invalid > 0 && invalid >= errors/2 // the two are not read at one moment
	}
	return ns.Conntrack.Count > 0
}

// checksumErrorsFor gives by how much bad checksums rose that may have been for the tunnel: those of its outer IP version.
func checksumErrorsFor(ns *facts.Namespace, l *facts.Link) uint64 {
	v4, _ := delta(ns, "Udp.InCsumErrors")
	v6, _ := delta(ns, "Udp6.InCsumErrors")
	switch {
	case !l.Tunnel.Local.IsValid(): // it may use both
		return v4 + v6
	case outerV6(ns, l):
		return v6
	}
	return v4
}

// hiddenErrors gives by how much bad checksums rose that may have been for the tunnel, where connection tracking hides its socket's drops; 0 where they are
// too few, or its socket shows them.
func hiddenErrors(s *facts.Snapshot, ns *facts.Namespace, l *facts.Link) uint64 {
	n := checksumErrorsFor(ns, l)
	if !l.Up || perMinute(s, n) < incsumPerMinute || socketDrops(ns, l.Tunnel.Port) > 0 || !socketsHidden(ns, n) {
		return 0
	}
	return n
}

// likelyTunnel finds the first tunnel that hidden errors may have been for.
func likelyTunnel(s *facts.Snapshot, ns *facts.Namespace) *facts.Link {
	for i := range ns.Links {
		if l := &ns.Links[i]; udpTunnel(l) && hiddenErrors(s, ns, l) > 0 {
			return l
		}
	}
	return nil
}
