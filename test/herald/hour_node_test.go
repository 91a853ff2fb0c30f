package herald

import (
	"context"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/status"
)

// load is what happens on a node. The zero value is nothing.
type load struct {
	counters bool   // in the texts of findings grow with each look
	faults   bool   // something critical appears and goes within 10 minutes, and the plugin warns of a pod every 5 minutes
	pods     string // come and go with each look, and have addresses that begin so; empty: they stay
}

// between is the time between two looks.
const between = 5 * time.Second

// simulated is a node that a herald is told of.
type simulated struct {
	load
	clock  hastened
	name   string
	number int
	looks  *atomic.Int64 // of all nodes
}

// live tells the herald what happens on the node. What happens is a matter of the time alone: where the machine is slow looks are left out, and nothing happens more often.
func (n *simulated) live(ctx context.Context, h *herald.Herald, begin time.Duration) {
	warned := -1
	for n.clock.until(ctx, begin) {
		now := n.clock.now()
		passed := now.Sub(n.clock.began)
		h.Feed(n.document(now, passed), n.facts(int(passed/between)))
		n.looks.Add(1)
		if at := int(passed / (5 * time.Minute)); n.faults && at != warned {
			warned = at
			for range 3 { // kubelet tries again
				h.Tell(status.Report{
					Command: "ADD", Pod: fmt.Sprintf("default/%s-%d", n.name, at), Verdict: "warn", At: now,
					Findings: []status.ReportFinding{{Check: "pod-mtu-mismatch", Severity: check.Warning, On: "eth0", Message: "MTU 1500 over a path of 1450"}},
				})
			}
		}
		begin = (n.clock.now().Sub(n.clock.began)/between + 1) * between
	}
}

// document is the state at a time. Each node's faults have their own minutes.
func (n *simulated) document(now time.Time, passed time.Duration) *status.Document {
	d := &status.Document{
		State: status.Proven, Ready: true, Mode: "audit", Node: n.name, Started: n.clock.began.Add(-time.Hour).UTC(), At: now.UTC(),
		Versions: status.Versions{Netmend: "v0.1.0", Kernel: "6.18.0"},
	}
	add := func(name, where, message string, s check.Severity, since time.Time) {
		d.Findings = append(d.Findings, status.Finding{Check: name, Severity: s, Where: where, Message: message, FirstSeen: since.UTC(), Settled: true})
	}
	if n.counters {
		add("listen-overflow", "namespace /run/netns/a", fmt.Sprintf("a listener's queue was full %d times", passed/between), check.Info, d.Started)
	}
	const cycle = 10 * time.Minute
	phase := (passed + time.Duration(n.number%crowd)*cycle/crowd) % cycle
	if n.faults && phase >= cycle/2 {
		d.State = status.Faulty
		add("service-rules-stale", "kube-proxy", fmt.Sprintf("Services lead to %d pods that are gone", phase/between), check.Critical, now.Add(cycle/2-phase).Round(between))
	}
	return d
}

// facts are those of a node with a tunnel and twenty pods, of which one is another with each look.
func (n *simulated) facts(look int) *facts.Snapshot {
	own := netip.AddrFrom4([4]byte{192, 0, 2, byte(n.number)})
	network, begins := netip.MustParsePrefix(fmt.Sprintf("10.244.%d.0/24", n.number)), n.pods
	if begins == "" {
		look, begins = 0, "10.244"
	}
	s := &facts.Snapshot{
		Intent: facts.Intent{NodePodCIDR: []netip.Prefix{network}},
		Proxy:  &facts.Proxy{Mode: facts.ModeNFTables},
		CNI:    &facts.CNI{Files: []facts.CNIFile{{Network: "cbr0", Plugins: []facts.CNIPlugin{{Type: "flannel", Bridge: "cni0"}}}}},
		Host: facts.Namespace{
			Links: []facts.Link{
				{Index: 2, Name: "eth0", Up: true, MTU: 1500, MAC: "02:00:00:00:00:0b"},
				{Index: 3, Name: "flannel.1", Kind: "vxlan", Up: true, MTU: 1450, MAC: "02:00:00:00:00:0c", Tunnel: &facts.Tunnel{ID: 1, Port: 8472, Local: own}},
				{Index: 4, Name: "cni0", Kind: "bridge", Up: true, MTU: 1450},
			},
			Addresses: []facts.Address{{Link: 2, Prefix: netip.PrefixFrom(own, 24), Scope: "global"}},
			Routes:    []facts.Route{{Dst: netip.MustParsePrefix("0.0.0.0/0"), Link: 2, Type: "unicast", Table: facts.TableMain}},
		},
	}
	for i := range 20 {
		s.Host.Links = append(s.Host.Links, facts.Link{Index: 5 + i, Name: fmt.Sprintf("veth%d", i), Kind: "veth", Up: true, MTU: 1450, Master: 4, Parent: 2, PeerNSID: &i})
		s.Pods = append(s.Pods, facts.Namespace{
			Inode: uint64(100 + i), NSID: &i, Links: []facts.Link{{Index: 2, Name: "eth0", Kind: "veth", Up: true, MTU: 1450}},
			Addresses: []facts.Address{{Link: 2, Prefix: netip.MustParsePrefix(fmt.Sprintf("%s.%d.%d/24", begins, n.number, 2+(look+i)%250)), Scope: "global"}},
		})
	}
	return s
}
