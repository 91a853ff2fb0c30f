package facts

import (
	"cmp"
	"net/netip"
	"slices"
)

// The routing tables that every namespace has (linux/rtnetlink.h).
const (
	TableDefault = 253
	TableMain    = 254
	TableLocal   = 255
)

// maxRules bounds the rules that one lookup follows: a node has tens, a document of a stranger may have millions.
const maxRules = 4096

// RouteTo is the route that the namespace's own packet to dst takes, sent from src where that is valid and without a mark: policy rules in the order
// of their priority, in each rule's table the longest prefix, then the lowest metric. Rules that were not read count as the kernel's own three
// (local, main, default). It is nil where there is no route, where the packet is refused, and where that hangs on a rule that matches less
// than facts show.
func (n *Namespace) RouteTo(dst, src netip.Addr) *Route {
	dst, src = dst.Unmap(), src.Unmap()
	if !dst.IsValid() {
		return nil
	}
	for _, rule := range n.rulesFor(dst, src) {
		r := n.longest(rule.Table, dst)
		switch {
		case rule.Action == "goto" || rule.Action == "nop" || rule.Action == "unknown":
			continue
		case rule.Action != "":
			return nil
		case r == nil || r.Type == "throw": // fib_rules_lookup goes on to the next rule
			continue
		case rule.Opaque:
			return nil
		case r.Type == "" || r.Type == "unicast" || r.Type == "local":
			return r
		}
		return nil
	}
	return nil
}

// rulesFor gives the rules that apply to an unmarked packet of the namespace, in order.
func (n *Namespace) rulesFor(dst, src netip.Addr) []Rule {
	var rules []Rule
	read := false
	for _, r := range n.Rules[:min(len(n.Rules), maxRules)] {
		if (r.Family == 4) == dst.Is4() {
			read = true
			if r.matches(dst, src) {
				rules = append(rules, r)
			}
		}
	}
	if !read {
		return []Rule{{Table: TableLocal}, {Table: TableMain}, {Table: TableDefault}}
	}
	slices.SortStableFunc(rules, func(a, b Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return rules
}

// matches is fib_rule_match for a packet with mark 0 that the namespace itself sends: its input link is the loopback, its output link not yet chosen.
func (r *Rule) matches(dst, src netip.Addr) bool {
	ok := r.Mark&r.Mask == 0 &&
		(r.InLink == "" || r.InLink == "lo") && r.OutLink == "" &&
		(!r.Dst.IsValid() || r.Dst.Contains(dst)) &&
		(!r.Src.IsValid() || r.Src.Bits() == 0 || r.Src.Contains(src))
	return ok != r.Invert
}

// longest finds the best route of a table.
func (n *Namespace) longest(table int, dst netip.Addr) *Route {
	var best *Route
	for i := range n.Routes {
		r := &n.Routes[i]
		if r.Table != table || !r.Dst.IsValid() || !r.Dst.Contains(dst) {
			continue
		}
		if best == nil || r.Dst.Bits() > best.Dst.Bits() || r.Dst.Bits() == best.Dst.Bits() && r.Metric < best.Metric {
			best = r
		}
	}
	return best
}

// Egress gives the indexes of the links that a route sends to, each once: one, or one for each hop of a multipath route.
func (r *Route) Egress() []int {
	var links []int
	if r.Link > 0 {
		links = append(links, r.Link)
	}
	for _, h := range r.NextHops {
		if h.Link > 0 && !slices.Contains(links, h.Link) {
			links = append(links, h.Link)
		}
	}
	return links
}
