package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// IPv6DADFailed finds IPv6 addresses that the kernel does not use because another machine has them.
var IPv6DADFailed = &check.Check{
	Name:  "ipv6-dadfailed",
	Title: "An IPv6 address is a duplicate, so the kernel does not use it",
	Since: "v0.1.0",
	Doc: markdown(`
Before the kernel uses an IPv6 address it asks the link whether somebody has it (duplicate address detection, RFC 4862 section 5.4). If somebody
answers, the address stays on the interface marked ~dadfailed tentative~, and nothing is sent from it or accepted for it.

**How it is seen.** The pod or the node has the address that Kubernetes shows and cannot be reached at it. ~ip -6 addr~ shows ~dadfailed~; the
kernel log says "IPv6 duplicate address detected". Without another global address, packets leave with the link-local one and get no further.
IPv4 works.

**Why**

- Two pods or machines got the same address: a duplicate that duplicate-ip-local or the other node's audit shows.
- Link-local addresses are made from the MAC, so two interfaces with one MAC (a cloned machine, a fixed ~mac~ in a CNI configuration) collide
  there first.
- The bridge sends the question back to the pod that asked: **hairpin** mode on its port while ~enhanced_dad~ is 0 in the pod. With it, the
  default since Linux 4.10, the question carries a nonce (RFC 7527), and the pod knows its own. Seen on 6.18: with 0 and hairpin every new
  address fails.

**Fix.** By hand: find the other holder and take the address from it, or give this one another. The mark does not go away when the other one
goes: the address must be deleted and added again, or the pod deleted, so that the question is asked anew. There is nothing to undo. Taking the
link down and up removes a global address altogether.

**Cost.** The address does not work now, so nothing is lost by re-adding it; deleting a pod restarts it.

**When it is no fault.** A link-local address on a link without a global one: nothing there uses IPv6, as in the pods of most clusters of IPv4,
where old kernels call every pod's a duplicate behind a bridge with hairpin (kubernetes/kubernetes#32291). A temporary address, which the kernel
replaces. Both are only worth knowing. An address that is only ~tentative~ is being asked for, for two seconds at most. A link that is down is
not judged. Addresses that were added with ~nodad~, and all of IPv4, are never asked for, so their duplicates are not found by this.
`),
	Needs:    []facts.Kind{facts.KindAddresses},
	Wants:    []facts.Kind{facts.KindLinks},
	Pods:     true,
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		for _, ns := range readable(s, facts.KindAddresses) {
			for _, a := range ns.Addresses {
				if a.Prefix.Addr().Is6() {
					return ""
				}
			}
		}
		return "there is no IPv6 address"
	},
	Run: runIPv6DADFailed,
}

func runIPv6DADFailed(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for _, ns := range readable(s, facts.KindAddresses) {
		for _, a := range ns.Addresses {
			l := ns.Link(a.Link)
			if !a.DADFailed || l != nil && !l.Up {
				continue
			}
			f := check.Finding{
				Severity: check.Critical,
				On:       facts.Ref{NetNS: ns.Inode, Index: a.Link, Name: linkName(ns, a.Link)},
				Message:  fmt.Sprintf("%s of %s is not used: duplicate address detection found another holder", a.Prefix.Addr(), linkName(ns, a.Link)),
				Evidence: []check.Evidence{{Fact: a.Prefix.String(), Got: "dadfailed", Want: "no such flag"}},
			}
			reflected := ""
			if end := nodeEnd(s, ns, a.Link); end != nil && end.Port != nil && end.Port.Hairpin {
				reflected = end.Name
				f.Evidence = append(f.Evidence, check.Evidence{Fact: "hairpin of " + end.Name, Got: "on: the bridge sends the question back unless enhanced_dad is 1 in the pod"})
			}
			f.Evidence = append(f.Evidence, otherHolders(s, ns, a.Prefix.Addr())...)
			if why := notMissed(ns, a); why != "" {
				f.Severity, f.Message = check.Info, f.Message+"; "+why
			} else {
				f.Fixes = []fix.Fix{askAgain(ns, a, f.On.Name, reflected, ns != &s.Host)}
			}
			out = append(out, f)
		}
	}
	return out
}

// notMissed says why nothing is lost without the address; empty where something is. A link without a global address uses no IPv6 at all: such are
// the pods of most clusters of IPv4. A temporary address (RFC 8981) is replaced by another.
func notMissed(ns *facts.Namespace, a facts.Address) string {
	switch {
	case a.Secondary:
		return "the kernel makes another temporary one"
	case a.Prefix.Addr().IsLinkLocalUnicast() && !globalAddress(ns, a.Link, false).IsValid():
		return "nothing on this link uses IPv6"
	}
	return ""
}

// nodeEnd is the node's end of a pod's link; nil where it is not known.
func nodeEnd(s *facts.Snapshot, pod *facts.Namespace, link int) *facts.Link {
	for i := range s.Host.Links {
		if p, l := podOf(s, &s.Host.Links[i]); p == pod && l != nil && l.Index == link {
			return &s.Host.Links[i]
		}
	}
	return nil
}

// otherHolders names who has the address on this node and uses it. Link-local addresses belong to each link.
func otherHolders(s *facts.Snapshot, not *facts.Namespace, addr netip.Addr) (out []check.Evidence) {
	if addr.IsLinkLocalUnicast() {
		return nil
	}
	for _, ns := range readable(s, facts.KindAddresses) {
		for _, a := range ns.Addresses {
			if ns == not || a.Prefix.Addr() != addr || a.DADFailed || a.Tentative {
				continue
			}
			where := "the node"
			if ns != &s.Host {
				where = podName(ns)
			}
			out = append(out, check.Evidence{Fact: "holder of " + addr.String(), Got: linkName(ns, a.Link) + " of " + where})
		}
	}
	return out
}

// askAgain is the way to get the address into use; reflected names the bridge's port that may have sent the question back.
func askAgain(ns *facts.Namespace, a facts.Address, dev, reflected string, pod bool) fix.Fix {
	addr := a.Prefix.String()
	f := fix.Fix{
		Title: "find the other holder of " + a.Prefix.Addr().String() + ", then let the kernel ask again",
		Advice: []string{
			fix.Shell(ns, "ndisc6", "-r", "3", a.Prefix.Addr().String(), dev) + "  # the MAC of the other holder",
			fix.Shell(ns, "ip", "-6", "addr", "del", addr, "dev", dev),
			fix.Shell(ns, "ip", "-6", "addr", "add", addr, "dev", dev),
		},
	}
	if reflected != "" {
		f.Advice = slices.Insert(f.Advice, 1, fix.Shell(ns, "sysctl", "-w", "net/ipv6/conf/all/enhanced_dad=1", "net/ipv6/conf/"+dev+"/enhanced_dad=1")+"  # if nobody answered: it was the hairpin of "+reflected)
	}
	if pod {
		f.Advice = append(f.Advice, "or delete the pod: its successor gets another address")
	}
	return f
}
