package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// Hairpin finds pods that cannot reach themselves by a Service though the configuration says that they can.
var Hairpin = &check.Check{
	Name:  "hairpin",
	Title: "A pod cannot reach itself by its Service",
	Since: "v0.1.0",
	Doc: markdown(`
A bridge does not send a frame back through the port by which it came in. A pod that calls a Service whose backend is the pod itself needs exactly that: its packet
is translated to its own address and has to go back. **Hairpin mode** of the port allows it; a bridge in promiscuous mode does the same for all its ports, because
the packet then takes the way through the node.

**How it is seen.** A Service answers every client but its own pods, and those only when the balancing chooses themselves: one request in so many times out. With one
replica, all of them do.

**Why.** ~should_deliver~ of net/bridge/br_forward.c asks for ~BR_HAIRPIN_MODE~ where the port is the one that the frame came from. The bridge plugin sets it where its configuration
has ~hairpinMode~ (flannel's delegate does by default). Something that makes the port again, or a plugin later in the chain, loses it.

**Fix.** Switch it on at the pod's port: ~bridge link set dev veth... hairpin on~. It takes effect at once and breaks no connection; undo switches it off.

**Cost.** None, but where the bridge is promiscuous at the same time: frames then come twice, so it is not offered there.

**When it is no fault.** A configuration without ~hairpinMode~; a bridge that is promiscuous; a pod that has no port on the bridge of that configuration.
`),
	Needs:    []facts.Kind{facts.KindPods, facts.KindPodLinks, facts.KindCNIConfig},
	Severity: check.Warning,
	NotApplicable: func(s *facts.Snapshot) string {
		if p := mainPlugin(running(s.CNI)); !p.Hairpin || p.Bridge == "" {
			return "the CNI's configuration does not ask for hairpin mode"
		}
		return ""
	},
	Run: func(s *facts.Snapshot) []check.Finding {
		p := mainPlugin(running(s.CNI))
		bridge := s.Host.LinkNamed(p.Bridge)
		if !p.Hairpin || bridge == nil || bridge.Kind != "bridge" || bridge.Promisc || p.Promisc {
			return nil
		}
		var out []check.Finding
		for i := range s.Host.Links {
			port := &s.Host.Links[i]
			pod, _ := podOf(s, port)
			if pod == nil || port.Master != bridge.Index || port.Port == nil || port.Port.Hairpin {
				continue
			}
			out = append(out, check.Finding{
				Severity: check.Warning,
				On:       s.Host.Ref(port),
				Message:  fmt.Sprintf("hairpin mode of %s is off: the pod behind it cannot reach itself by a Service", port.Name),
				Evidence: []check.Evidence{
					{Fact: "hairpin mode of " + port.Name, Got: fix.Off, Want: fix.On},
					{Fact: "hairpinMode of plugin " + p.Type + " in " + running(s.CNI).Name, Got: "true"},
				},
				Fixes: []fix.Fix{{
					Title:   "switch hairpin mode of " + port.Name + " on",
					Cost:    "none, as long as the bridge is not made promiscuous as well",
					Changes: []fix.Change{{Knob: fix.Hairpin, On: s.Host.Ref(port), From: fix.Off, To: fix.On}},
				}},
			})
		}
		return out
	},
}
