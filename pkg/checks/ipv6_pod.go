package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// IPv6Pod finds pods that were given an IPv6 address and cannot use IPv6.
var IPv6Pod = &check.Check{
	Name:  "ipv6-pod",
	Title: "A pod was given an IPv6 address and has IPv6 switched off",
	Since: "v0.1.0",
	Doc: markdown(`
The CNI's result gives the pod an IPv6 address, which Kubernetes then shows and Services use, but in the pod ~disable_ipv6~ is 1 on that link: the kernel has thrown its IPv6
addresses away and takes no new one.

**How it is seen.** Connections to the pod's IPv6 address, and every second one to a dual-stack Service, time out. ~ip -6 addr~ in the pod shows nothing.

**Why.** Writing 1 to ~net.ipv6.conf.LINK.disable_ipv6~ removes all addresses and routes of the link (addrconf_disable_change, net/ipv6/addrconf.c). Sources: a sysctl of the tuning
plugin behind the main plugin, a ~securityContext.sysctls~ of the pod, an image whose start script does it.

**Fix.** While the pod is made: write 0. The kernel takes the link-local address back by itself; the address and routes of the result have to be added again, which netmend's
CNI plugin does. For a pod that runs: take the sysctl out of the configuration and make the pod again. Undo: write 1.

**Cost.** None: the pod does not run yet.

**When it is no fault.** A pod whose result has no IPv6 address. Without the result, which only the CNI plugin sees, nothing says that the pod should have one.
`),
	Needs:    []facts.Kind{facts.KindPods, facts.KindPodLinks, facts.KindSysctls},
	Pods:     true,
	Severity: check.Warning,
	NotApplicable: func(s *facts.Snapshot) string {
		for i := range s.Pods {
			if r := s.Pods[i].Result; r != nil {
				for _, a := range r.Addresses {
					if a.Prefix.Addr().Is6() {
						return ""
					}
				}
			}
		}
		return "no pod's CNI result with an IPv6 address is known"
	},
	Run: func(s *facts.Snapshot) []check.Finding {
		var out []check.Finding
		for _, p := range readablePods(s, facts.KindPodLinks, facts.KindSysctls) {
			if p.Result == nil {
				continue
			}
			for _, a := range p.Result.Addresses {
				name := a.Link
				if name == "" && len(p.Result.Links) > 0 {
					name = p.Result.Links[0]
				}
				l, key := p.LinkNamed(name), "net/ipv6/conf/"+name+"/disable_ipv6"
				if l == nil || !a.Prefix.Addr().Is6() || p.Sysctls[key] != "1" {
					continue
				}
				f := check.Finding{
					Severity: check.Warning,
					On:       p.Ref(l),
					Message:  fmt.Sprintf("the pod was given %s, but IPv6 is switched off on its link %s", a.Prefix.Addr(), name),
					Evidence: []check.Evidence{{Fact: dotted(key), Got: "1", Want: "0"}, {Fact: "address of the CNI result", Got: a.Prefix.String()}},
				}
				if fix.ValidSysctl(key) {
					f.Fixes = []fix.Fix{{
						Title:   "switch IPv6 on in the pod before it starts",
						Cost:    "none before the pod runs",
						Changes: []fix.Change{{Knob: fix.Sysctl(key), On: f.On, From: "1", To: "0"}},
					}}
				}
				out = append(out, f)
				break // one for each pod: the switch is the link's, not the address's
			}
		}
		return out
	},
}
