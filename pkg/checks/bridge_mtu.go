package checks

import (
	"fmt"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// BridgeMTU finds bridges that send more than one of their ports takes.
var BridgeMTU = &check.Check{
	Name:  "bridge-mtu",
	Title: "A bridge's MTU is larger than that of one of its ports",
	Since: "v0.1.0",
	Doc: markdown(`
What the node sends into a bridge may be as large as the bridge's MTU. A port with a smaller one drops what is larger, without an answer.

**How it is seen.** From the node, or through it, large packets to one pod are lost while others get them. ~tx_dropped~ of that port (~ip -s
link~) rises. TCP to such a pod mostly works, as the pod's own MTU bounds the segments that it asks for; UDP and what is forwarded with a larger
size do not.

**Why.** A bridge does not fragment and sends no ICMP: ~br_dev_queue_push_xmit~ drops a frame that is more than 4 bytes, a VLAN header, above
the port's MTU. The kernel sets a bridge's MTU to the smallest of its ports' by itself, but only until somebody sets it (~ip link set~,
systemd-networkd, a script). From then on it stays, and lowering a port below it leaves the bridge larger (~br_mtu_auto_adjust~,
BROPT_MTU_SET_BY_USER; seen on 6.18).

Warning where the bridge is one that pods depend on: the CNI's, or one that the default route or a tunnel leaves by. Info for other bridges,
such as those of virtual machines.

**Fix.** By hand: find out why the port is smaller. If it is right (the tunnel or the uplink carries no more), lower the bridge with the printed
command, and where its MTU is set at boot. If the port is a leftover of an older configuration, make its pod again. Undo: the old number.

**Cost.** Everything that the node sends through the bridge gets smaller.

**No fault.** A bridge that is smaller than its ports; ports that are down; a difference of up to 4 bytes.
`),
	Needs:    []facts.Kind{facts.KindLinks},
	Wants:    []facts.Kind{facts.KindRoutes, facts.KindCNIConfig},
	Severity: check.Warning,
	Settle:   10 * time.Second,
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for i := range s.Host.Links {
			if l := &s.Host.Links[i]; l.Kind == "bridge" && l.Up {
				if f, found := bridgeOverPorts(s, l); found {
					out = append(out, f)
				}
			}
		}
		return out
	},
}

func bridgeOverPorts(s *facts.Snapshot, bridge *facts.Link) (check.Finding, bool) {
	var smallest *facts.Link
	smaller := 0
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		if l.Master != bridge.Index || l == bridge || !l.Up || l.MTU+vlanRoom >= bridge.MTU {
			continue
		}
		smaller++
		if smallest == nil || l.MTU < smallest.MTU {
			smallest = l
		}
	}
	if smallest == nil {
		return check.Finding{}, false
	}
	f := check.Finding{
		Severity: check.Info,
		On:       s.Host.Ref(bridge),
		Message:  fmt.Sprintf("%s sends packets of up to %d, but its port %s takes %d: larger ones are dropped without an answer", bridge.Name, bridge.MTU, smallest.Name, smallest.MTU),
		Evidence: []check.Evidence{
			{Fact: "MTU of " + bridge.Name, Got: fmt.Sprint(bridge.MTU), Want: fmt.Sprintf("at most %d", smallest.MTU)},
			{Fact: "MTU of " + smallest.Name, Got: fmt.Sprint(smallest.MTU)},
		},
		Fixes: []fix.Fix{{
			Title: fmt.Sprintf("lower %s to its ports' MTU, or %s", bridge.Name, otherWay(smallest)),
			Advice: []string{
				fix.Shell(&s.Host, "ip", "link", "set", "dev", bridge.Name, "mtu", fmt.Sprint(smallest.MTU)),
				"set the same MTU wherever the bridge gets its own from, for a CNI's also in " + confDir(s),
			},
		}},
	}
	if smaller > 1 {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "ports with a smaller MTU", Got: fmt.Sprint(smaller), Want: "0"})
	}
	if d := smallest.DeltaTx; d != nil && *d > 0 {
		f.Evidence = append(f.Evidence, check.Evidence{Fact: "packets that " + smallest.Name + " dropped", Got: risen(s, *d), Want: "+0"})
	}
	if podsDepend(s, bridge) {
		f.Severity = check.Warning
	}
	return f, true
}

// otherWay is what to do where the port's MTU is wrong and not the bridge's.
func otherWay(port *facts.Link) string {
	if port.PeerNSID != nil {
		return "make the pod behind " + port.Name + " again"
	}
	return "raise that of " + port.Name
}

// podsDepend says whether packets of the pod network pass the bridge.
func podsDepend(s *facts.Snapshot, bridge *facts.Link) bool {
	if cniBridge(s, bridge) {
		return true
	}
	for i := range s.Host.Links {
		l := &s.Host.Links[i]
		if tunnelUp(l) && l.PeerNSID == nil && l.Parent == bridge.Index {
			return true
		}
	}
	for _, r := range s.Host.Routes {
		if r.Link == bridge.Index && r.Dst.IsValid() && r.Dst.Bits() == 0 && r.Table == facts.TableMain {
			return true
		}
	}
	return false
}
