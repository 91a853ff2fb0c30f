package checks

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// maxEvidence bounds how many tunnels are looked at: a node has a few, and one with thousands has no cluster in them.
const maxEvidence = 256

// TunnelEvidence is what is known of one tunnel of the node, for whoever compares nodes: the checks of this package judge by the same.
type TunnelEvidence struct {
	Tunnel     *facts.Link
	Under      []*facts.Link // it, each once, in the order in which they were found; empty where unknown
	Dropped    bool          // packets to its port were dropped for their checksum, over the window
	Suspected  bool          // packets with a bad checksum came and connection tracking hides for which port; this tunnel is the likely one
	Translated []netip.Addr  // the ends to which source NAT changed the header of its own packets; in order, each once
}

// Tunnels looks at the tunnels of the node that are up, of very many at the first; more is the number of the others.
func Tunnels(s *facts.Snapshot) (out []TunnelEvidence, more int) {
	likely := likelyTunnel(s, &s.Host)
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		switch {
		case l.Tunnel == nil || !l.Up:
		case len(out) == maxEvidence:
			more++
		default:
			out = append(out, evidenceOf(s, l, likely))
		}
	}
	return out, more
}

func evidenceOf(s *facts.Snapshot, l, likely *facts.Link) TunnelEvidence {
	e := TunnelEvidence{Tunnel: l}
	for _, p := range outerPaths(&s.Host, l) {
		if !slices.Contains(e.Under, p.link) {
			e.Under = append(e.Under, p.link)
		}
	}
	if !udpTunnel(l) {
		return e
	}
	_, drops := tunnelChecksumErrors(s, l)
	e.Dropped = drops > 0
	e.Suspected = !e.Dropped && likely == l
	if len(s.Host.TunnelNAT) == 0 {
		return e
	}
	for _, f := range ownTranslatedFlows(&s.Host, l) {
		if f.ReplyDst != f.Src { // NAT that changes nothing spoils nothing
			e.Translated = append(e.Translated, f.Dst.Addr().Unmap())
		}
	}
	slices.SortFunc(e.Translated, netip.Addr.Compare)
	e.Translated = slices.Compact(e.Translated)
	return e
}

// PodEnd is a pod's end of a link that leads to the node.
type PodEnd struct {
	Pod  *facts.Namespace
	Link *facts.Link
}

// PodEnds are those of the pods that a CNI has wired up, in the order of the node's links. Containers of other runtimes and namespaces made by hand are not
// among them.
func PodEnds(s *facts.Snapshot) (out []PodEnd) {
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		bridge := s.Host.Link(l.Master)
		if bridge != nil && !cniBridge(s, bridge) || bridge == nil && !cniPort(s, l) && !strings.HasPrefix(l.Name, "lxc") {
			continue
		}
		if pod, end := podOf(s, l); end != nil {
			out = append(out, PodEnd{pod, end})
		}
	}
	return out
}

// RunningNetwork is the name of the network that the container runtime uses: that of the first usable file; empty where there is none.
func RunningNetwork(s *facts.Snapshot) string { return running(s.CNI).Network }
