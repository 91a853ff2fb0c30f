package checks

import (
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// fate is the set of what may become of a packet.
type fate uint8

const (
	accepted   fate = 1 << iota
	dropped         // or rejected
	translated      // its source address is changed
	returned        // it leaves the chain and goes on behind the jump
	remarked        // its mark is no longer known
)

// anything is the fate in a chain that could not be read.
const anything = accepted | dropped | translated | returned | remarked

// maxJumps is how deep nftables lets chains jump (NFT_JUMP_STACK_SIZE of net/netfilter/nf_tables_api.h).
const maxJumps = 16

// filterWalk follows one class of packets through the chains of one table. Whatever is not known counts as possible, so a single fate is proven.
type filterWalk struct {
	chains map[string]*facts.Chain
	p      packet
	seen   map[chainVisit]fate
	by     string // the last rule or policy that drops
}

type chainVisit struct {
	chain  string
	marked bool
}

// walkFilter gives the fate of the packets at a base chain, never returned, and says what dropped them.
func walkFilter(t *facts.Table, base *facts.Chain, p packet) (fate, string) {
	if !base.RulesRead {
		return anything &^ returned, ""
	}
	w := &filterWalk{chains: map[string]*facts.Chain{}, p: p, seen: map[chainVisit]fate{}}
	for i := range t.Chains {
		w.chains[t.Chains[i].Name] = &t.Chains[i]
	}
	got := w.rules(base, false, 0)
	if got&returned != 0 {
		got &^= returned
		if base.Policy == "drop" {
			got |= dropped
			w.by = "policy drop of " + base.Name
		} else {
			got |= accepted
		}
	}
	return got &^ remarked, w.by
}

// chain gives the fate in a chain that is jumped to.
func (w *filterWalk) chain(name string, marked bool, depth int) fate {
	c := w.chains[name]
	switch {
	case neverAccepts(name) && (c == nil || !c.RulesRead):
		return dropped | returned
	case c == nil || !c.RulesRead || depth > maxJumps:
		return anything
	}
	visit := chainVisit{name, marked}
	if f, ok := w.seen[visit]; ok {
		return f
	}
	w.seen[visit] = anything // for a chain that leads back to itself, which the kernel refuses and a document may hold
	f := w.rules(c, marked, depth)
	w.seen[visit] = f
	return f
}

// neverAccepts tells the chains of kube-proxy's filter table that only reject or drop, and are long (pkg/proxy/iptables/proxier.go).
func neverAccepts(chain string) bool {
	return slices.Contains([]string{"KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL"}, chain)
}

func (w *filterWalk) rules(c *facts.Chain, marked bool, depth int) (got fate) {
	for i := range c.Rules {
		r := &c.Rules[i]
		m := w.p.match(r, marked)
		if m == no {
			continue
		}
		f, final := w.verdict(c, r, marked, depth)
		got |= f &^ returned
		marked = marked || f&remarked != 0
		switch {
		case final == ends && m == yes:
			return got
		case final == leaves && f&returned != 0:
			got |= returned
			if m == yes {
				return got
			}
		case final == leaves && m == yes, final == comesBack && m == yes && f&returned == 0:
			return got
		}
	}
	return got | returned
}

// How the walk goes on behind a rule that matches.
const (
	goesOn    = iota // with the next rule
	ends             // nowhere
	leaves           // nowhere in this chain: a return, or a goto whose target returned
	comesBack        // with the next rule, if the target returned
)

func (w *filterWalk) verdict(c *facts.Chain, r *facts.FilterRule, marked bool, depth int) (f fate, then int) {
	switch r.Verdict {
	case "accept":
		return accepted, ends
	case "drop", "reject":
		w.by = r.Verdict + " in " + c.Name
		return dropped, ends
	case "masquerade", "snat":
		return translated, ends
	case "dnat":
		return accepted, ends
	case "return":
		return returned, leaves
	case "jump":
		return w.chain(r.Target, marked, depth+1), comesBack
	case "goto":
		return w.chain(r.Target, marked, depth+1), leaves
	case "mark":
		return remarked, goesOn
	case "notrack":
		return 0, goesOn
	case "":
		return targetFate(r), goesOn
	}
	return anything &^ returned, ends
}

// targetFate is the fate behind a rule without a verdict: none at a counter and at the xtables targets that let the packet go on (XT_CONTINUE). A rule
// that is not understood and has no target may take its verdict from a map.
func targetFate(r *facts.FilterRule) fate {
	switch r.Target {
	case "":
		switch {
		case r.SetMark != "":
			return remarked
		case r.Opaque:
			return anything
		}
		return 0
	case "MARK", "CONNMARK":
		return remarked
	case "LOG", "NFLOG", "TRACE", "TCPMSS", "CLASSIFY", "CHECKSUM", "CT", "DSCP", "TOS", "TTL", "HL", "SET", "AUDIT", "RATEEST", "TEE", "ECN":
		return 0
	}
	return anything
}

// hookChains gives the base chains at a hook in the tables of a family, those of inet included, each with its table. Bridge tables see frames that
// never reach IP and are left out.
func hookChains(ns *facts.Namespace, hook string, v6 bool) (out []baseChain) {
	family := "ip"
	if v6 {
		family = "ip6"
	}
	for i := range ns.Tables {
		t := &ns.Tables[i]
		if t.Family != family && t.Family != "inet" {
			continue
		}
		for j := range t.Chains {
			if t.Chains[j].Hook == hook {
				out = append(out, baseChain{t, &t.Chains[j]})
			}
		}
	}
	return out
}

type baseChain struct {
	table *facts.Table
	chain *facts.Chain
}

// name is what a person calls the chain, with the program that shows it.
func (b baseChain) name() string {
	if b.table.IPTables() {
		program := "iptables-"
		if b.table.Family == "ip6" {
			program = "ip6tables-"
		}
		return program + b.table.Backend + " " + b.table.Name + " " + b.chain.Name
	}
	return strings.Join([]string{"nft", b.table.Family, b.table.Name, b.chain.Name}, " ")
}
