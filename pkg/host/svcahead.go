package host

import (
	"fmt"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of what is read of other programs' rules in one table and hook: each pod with a host port has some of its own.
const (
	maxAheadChains = 64
	maxAheadRules  = 256
)

// ahead reads what other programs decide before kube-proxy's rules are asked: in raw and mangle, which come before nat, what drops or is not understood, and in
// nat itself what stands in front of the jump to KUBE-SERVICES.
func (x *svcIPTables) ahead() error {
	for _, hook := range [...]struct{ name, chain string }{{facts.HookPrerouting, "PREROUTING"}, {facts.HookOutput, "OUTPUT"}} {
		for _, table := range [...]string{"raw", "mangle", "nat"} {
			w := svcAheadWalk{src: x.src, hook: hook.name, table: table, chains: maxAheadChains, base: hook.chain}
			if err := w.walk(hook.chain, facts.AheadRule{Family: x.family, Hook: hook.name}); err != nil {
				return err
			}
			x.before = append(x.before, w.found...)
		}
	}
	return nil
}

// svcAheadWalk follows one base chain.
type svcAheadWalk struct {
	src               svcSource
	hook, table, base string
	chains            int // that may still be read
	found             []facts.AheadRule
}

// svcAheadStep is a rule that goes on in another chain, or decides.
type svcAheadStep struct {
	rule   facts.AheadRule
	target string // of a jump
	tells  bool   // it decides, and names what it is about
	leaves bool   // packets that it matches do not come to the rules behind it, nor are they decided
}

// walk reads a chain to which the packets that a rule matches come.
func (w *svcAheadWalk) walk(chain string, under facts.AheadRule) error {
	if w.chains == 0 {
		return nil
	}
	w.chains--
	var steps []svcAheadStep
	number, over := 0, false
	err := w.src.rules(w.table, chain, func(r *svcRule) error {
		number++
		if over || len(steps) == maxAheadRules {
			return nil
		}
		if r.jumps() && strings.HasPrefix(string(r.target), "KUBE-") {
			over = w.table == "nat" && chain == w.base
			return nil
		}
		s := w.step(r, chain == w.base, under)
		s.rule.Where = fmt.Sprintf("%s %s rule %d", w.table, chain, number)
		steps = append(steps, s)
		over = r.bare() && r.verdict.final()
		return nil
	})
	if err != nil {
		return err
	}
	for _, s := range steps { // no list is asked for while another is read
		switch {
		case s.leaves:
			under.Unknown = firstOf(under.Unknown, s.rule.Where+" lets some by")
		case s.target != "":
			s.rule.Unknown = firstOf(s.rule.Unknown, under.Unknown)
			if err := w.walk(s.target, s.rule); err != nil {
				return err
			}
		case s.tells && len(w.found) < maxAheadRules:
			s.rule.Unknown = firstOf(s.rule.Unknown, under.Unknown)
			w.found = append(w.found, s.rule)
		}
	}
	return nil
}

// step takes one rule, which packets meet under a condition.
func (w *svcAheadWalk) step(r *svcRule, base bool, under facts.AheadRule) (s svcAheadStep) {
	s.rule = under
	a := &s.rule
	if r.dst.set() && !r.dst.negated {
		if a.Dst.IsValid() && !a.Dst.Overlaps(r.dst.prefix) {
			return s // never matched
		}
		if !a.Dst.IsValid() || a.Dst.Bits() < r.dst.prefix.Bits() {
			a.Dst = r.dst.prefix
		}
	}
	if r.hasPort {
		a.Port = r.port
	}
	if r.proto != 0 {
		if a.Protocol = svcProto(r.proto); a.Protocol == "" {
			return s // no Service's
		}
	}
	if r.unknown != "" || r.src.set() || r.dst.negated || r.has != 0 {
		a.Unknown = firstOf(firstOf(a.Unknown, r.unknown), "it matches by more than the destination")
	}
	every := a.Unknown == "" && a.Protocol == ""
	switch {
	case r.jumps():
		s.target = string(r.target)
		if r.verdict == svcGoto {
			a.Unknown = firstOf(a.Unknown, "it does not come back from there")
		}
		return s
	case r.verdict == svcReturn && !base, w.table != "nat" && (r.verdict == svcReturn || r.verdict == svcAccept && r.unknown == ""):
		s.leaves = true
		return s
	case r.verdict == svcReturn, r.verdict == svcAccept && r.unknown == "":
		a.Does = facts.AheadAccepts
	case r.verdict == svcDrop:
		a.Does = facts.AheadDrops
	case r.verdict == svcDNAT:
		a.Does, a.To = facts.AheadTranslates, r.dnat
	case r.verdict.final():
		a.Does = facts.AheadOther
	}
	s.tells = a.Does != "" && (a.Dst.IsValid() || a.Port != 0 || every)
	return s
}
