package checks

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// maxSteps bounds the rules that one packet is walked through.
const maxSteps = 20000

// kubeMark is the bit by which kube-proxy and kubelet mark what they want to be masqueraded (--iptables-masquerade-bit, 14 by default).
const kubeMark = 0x4000

// masquerade is where a packet's source is certainly translated.
type masquerade struct {
	chain       string // with the program that shows it
	randomFully bool   // a new source port too, even where the address stays
}

// masqueraded says where a tunnel's outer packet meets MASQUERADE. An outer packet keeps the mark of its inner one (skb_scrub_packet clears it only
// between namespaces), and the inner one has gone through the same chains first. So a mark that these chains take away on the way to their MASQUERADE,
// as kube-proxy's do since 1.16.13, 1.17.9 and 1.18.6 (kubernetes/kubernetes#92035), is gone when the outer packet comes.
//
// Only what the rules prove counts: a rule that may match less than it shows neither translates, nor lets a packet pass.
func masqueraded(ns *facts.Namespace, p packet, port uint16) *masquerade {
	p.markMask = ^uint32(0)
	for _, mark := range []uint32{0, kubeMark} {
		p.mark = mark
		m, left := postrouting(ns, p, port)
		if left != mark {
			p.mark = left
			m, _ = postrouting(ns, p, port)
		}
		if m != nil {
			return m
		}
	}
	return nil
}

// postrouting walks a packet through the base chains of source NAT in the order in which the kernel calls them, and gives the mark it has at the end.
// An accept ends its own base chain alone (nf_nat_inet_fn of net/netfilter/nf_nat_core.c goes on until one has set up a translation).
func postrouting(ns *facts.Namespace, p packet, port uint16) (*masquerade, uint32) {
	bases := hookChains(ns, "postrouting", p.v6)
	bases = slices.DeleteFunc(bases, func(b baseChain) bool { return b.chain.Type != "nat" })
	slices.SortStableFunc(bases, func(a, b baseChain) int { return cmp.Compare(a.chain.Priority, b.chain.Priority) })
	w := natWalk{packet: p, port: port, left: maxSteps}
	for _, b := range bases {
		w.table = b.table
		if w.walk(b.chain, false, nil) == natDone {
			break
		}
	}
	return w.found, w.packet.mark
}

// natEnd says how a walk through a chain ended.
type natEnd int

const (
	natReturned natEnd = iota // to the calling chain
	natAccepted               // this base chain is over
	natDone                   // translated, dropped, or gone where the rules cannot be read
)

type natWalk struct {
	packet packet
	port   uint16
	table  *facts.Table
	found  *masquerade
	left   int
	unsure bool // the mark is
}

// walk follows a packet through one chain. In doubt it may not be there at all: then nothing it meets is proof.
func (w *natWalk) walk(c *facts.Chain, doubt bool, above []*facts.Chain) natEnd {
	if c == nil || !c.RulesRead || slices.Contains(above, c) {
		return natDone
	}
	above = append(above, c)
	for i := range c.Rules {
		r := &c.Rules[i]
		if w.left--; w.left < 0 {
			return natDone
		}
		m := w.match(r)
		if m == no {
			continue
		}
		unclear := doubt || m == maybe
		if r.SetMark != "" || r.Verdict == "mark" {
			w.remark(r, unclear)
		}
		switch r.Verdict {
		case "return":
			return natReturned
		case "accept":
			return natAccepted
		case "drop", "reject":
			return natDone
		case "masquerade", "snat", "dnat":
			if unclear || w.unsure {
				continue
			}
			if r.Verdict == "masquerade" {
				w.found = &masquerade{chain: baseChain{w.table, c}.name(), randomFully: r.RandomFully}
			}
			return natDone
		case "goto":
			return w.walk(w.table.Chain(r.Target), unclear, above)
		case "jump":
			if end := w.walk(w.table.Chain(r.Target), unclear, above); end != natReturned {
				return end
			}
		}
	}
	return natReturned
}

// match knows the port, which a class of packets does not.
func (w *natWalk) match(r *facts.FilterRule) answer {
	rest := *r
	rest.DPort = ""
	return min(w.packet.match(&rest, false), matchPorts(r.DPort, w.port))
}

// matchPorts reads "8472", "1000:2000" and either with an exclamation mark in front.
func matchPorts(pattern string, port uint16) answer {
	if pattern == "" {
		return yes
	}
	text, not := negated(pattern)
	first, last, ranged := strings.Cut(text, ":")
	if !ranged {
		last = first
	}
	lo, err1 := strconv.ParseUint(first, 10, 16)
	hi, err2 := strconv.ParseUint(last, 10, 16)
	if err1 != nil || err2 != nil {
		return maybe
	}
	if inside := lo <= uint64(port) && uint64(port) <= hi; inside != not {
		return yes
	}
	return no
}

// remark sets the mark as --set-xmark VALUE/MASK does.
func (w *natWalk) remark(r *facts.FilterRule, unclear bool) {
	value, mask, ok := valueMask(strings.TrimPrefix(r.SetMark, "xor "))
	if !ok {
		w.unsure = true
		return
	}
	old := w.packet.mark
	w.packet.mark = old&^mask ^ value
	if unclear && w.packet.mark != old {
		w.unsure = true
	}
}

// valueMask reads "0x4000/0x4000"; a mask that is not written is all ones.
func valueMask(s string) (value, mask uint32, ok bool) {
	v, m, masked := strings.Cut(s, "/")
	value64, err := strconv.ParseUint(v, 0, 32)
	if err != nil {
		return 0, 0, false
	}
	if !masked {
		return uint32(value64), ^uint32(0), true
	}
	mask64, err := strconv.ParseUint(m, 0, 32)
	return uint32(value64), uint32(mask64), err == nil
}
