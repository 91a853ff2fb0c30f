package plugin

import (
	"net/netip"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// How conflicts are detected: three questions, 30 ms apart. One lost frame is then no verdict, and a pod waits a tenth of a second.
const (
	probeCount = 3
	probePause = 30 * time.Millisecond
	probeBound = 250 * time.Millisecond // beyond which nobody waits for it
)

// answer is what one link was told.
type answer struct {
	probes []facts.Probe
	panic  any
}

// probe asks the pod's links who else has their addresses, all at the same time. A link that cannot be asked stays without an answer.
func probe(s *facts.Snapshot, h *host.Host) {
	for i := range s.Pods {
		p := &s.Pods[i]
		ns, err := h.Namespace(p.Path)
		if err != nil {
			return
		}
		answers := make(chan answer, len(p.Links))
		for _, l := range p.Links {
			var addrs []netip.Addr
			for _, a := range p.Addresses {
				if a.Link == l.Index && a.Scope == "global" {
					addrs = append(addrs, a.Prefix.Addr())
				}
			}
			go func() {
				var a answer
				defer func() {
					a.panic = recover()
					answers <- a
				}()
				_ = ns.Do(func() (err error) { // one that cannot be asked stays without an answer
					if len(addrs) > 0 && l.Up {
						a.probes, err = ns.ProbeAddresses(l, addrs, probeCount, probePause)
					}
					return err
				})
			}()
		}
		for range p.Links {
			a := <-answers
			if a.panic != nil {
				panic(a.panic) // where it is caught
			}
			p.Probes = append(p.Probes, a.probes...)
		}
		_ = ns.Close() // it was only read from
	}
}
