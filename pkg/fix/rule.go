package fix

import (
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// siteState is what of a rule is at one site.
type siteState struct {
	chain *facts.Chain // netmend's own; nil where it is not there
	rules []bool       // of the spec's rules: is it in the chain
	jump  int          // index of the base chain's jump; -1 for none
	alone bool         // the chain holds nothing but this knob's rules
}

// value says what the site's state is worth. A chain that holds only other knobs' rules is not this knob's.
func (s siteState) value() string {
	switch {
	case s.chain == nil:
		return Absent
	case !slices.Contains(s.rules, false) && s.jump >= 0:
		return Present
	case slices.Contains(s.rules, true) || len(s.chain.Rules) == 0:
		return Partial
	}
	return Absent
}

// at reads one site. It fails where the snapshot has a chain without its rules.
func (r RuleSpec) at(tables []facts.Table, site RuleSite) (siteState, error) {
	st := siteState{rules: make([]bool, len(r.Rules)), jump: -1}
	t := findTable(tables, site.Backend, site.Family, r.Table)
	if t == nil {
		return st, nil
	}
	if st.chain = t.Chain(r.Chain); st.chain == nil {
		return st, nil
	}
	base := t.Chain(r.Base)
	if !st.chain.RulesRead || base == nil || !base.RulesRead {
		return st, fmt.Errorf("the rules of %s or %s were not read", r.Base, r.Chain)
	}
	st.jump = slices.IndexFunc(base.Rules, func(f facts.FilterRule) bool { return f.Target == r.Chain })
	st.alone = true
	for _, f := range st.chain.Rules {
		i := slices.IndexFunc(r.Rules, func(rule IPTRule) bool { return rule.shows(f) })
		if i < 0 {
			st.alone = false
			continue
		}
		st.rules[i] = true
	}
	return st, nil
}

// Sites is where anything of the rule is.
func (r RuleSpec) Sites(tables []facts.Table) (sites []RuleSite, value string, err error) {
	value = Absent
	if own := r.ownChain(tables); own != nil {
		sites, value = append(sites, RuleSite{Own: true}), Present
	}
	for _, backend := range []string{facts.BackendNFT, facts.BackendLegacy} {
		for _, family := range r.Families {
			site := RuleSite{Backend: backend, Family: family}
			st, err := r.at(tables, site)
			if err != nil {
				return nil, "", err
			}
			v := st.value()
			if v == Absent {
				continue
			}
			sites = append(sites, site)
			if v == Partial || value == Absent {
				value = v
			}
		}
	}
	return sites, value, nil
}

func (r RuleSpec) ownChain(tables []facts.Table) *facts.Chain {
	t := findTable(tables, facts.BackendNFT, "inet", NFTable)
	if t == nil || r.Own == nil {
		return nil
	}
	return t.Chain(r.Own.Name)
}

func getRule(s *facts.Snapshot, c Change) (string, error) {
	r, err := ParseRule(c.Knob)
	if err != nil {
		return "", err
	}
	if !s.Has(facts.KindNFTables) && !s.Has(facts.KindLegacy) {
		return "", fmt.Errorf("the snapshot holds no packet filter tables")
	}
	_, value, err := r.Sites(s.Host.Tables)
	return value, err
}

func setRule(s *facts.Snapshot, c Change) error {
	r, err := ParseRule(c.Knob)
	if err != nil {
		return err
	}
	sites, _, err := r.Sites(s.Host.Tables)
	if err == nil && c.To == Present {
		sites, err = r.Place(s.Host.Tables)
	}
	for _, site := range sites {
		if err := r.model(&s.Host, site, c.To == Present); err != nil {
			return err
		}
	}
	return err
}

// model puts the rule into the snapshot's tables, or takes it out, so that the two are inverse.
func (r RuleSpec) model(ns *facts.Namespace, site RuleSite, present bool) error {
	if site.Own {
		r.modelOwn(ns, present)
		return nil
	}
	st, err := r.at(ns.Tables, site)
	if err != nil {
		return err
	}
	t := findTable(ns.Tables, site.Backend, site.Family, r.Table)
	if present {
		r.insert(t, st)
		return nil
	}
	r.remove(t, st)
	return nil
}

func (r RuleSpec) insert(t *facts.Table, st siteState) {
	if st.chain == nil {
		t.Chains = append(t.Chains, facts.Chain{Name: r.Chain, RulesRead: true})
	}
	own := t.Chain(r.Chain)
	for i, rule := range r.Rules {
		if !st.rules[i] {
			own.Rules = append(own.Rules, rule.Fact)
		}
	}
	if base := t.Chain(r.Base); st.jump < 0 {
		base.Rules = slices.Insert(base.Rules, 0, facts.FilterRule{Verdict: "jump", Target: r.Chain})
	}
}

func (r RuleSpec) remove(t *facts.Table, st siteState) {
	if !st.alone {
		st.chain.Rules = slices.DeleteFunc(st.chain.Rules, func(f facts.FilterRule) bool {
			return slices.ContainsFunc(r.Rules, func(rule IPTRule) bool { return rule.shows(f) })
		})
		return
	}
	if base := t.Chain(r.Base); st.jump >= 0 {
		base.Rules = slices.Delete(base.Rules, st.jump, st.jump+1)
		if len(base.Rules) == 0 {
			base.Rules = nil
		}
	}
	t.Chains = slices.DeleteFunc(t.Chains, func(c facts.Chain) bool { return c.Name == r.Chain })
}

func (r RuleSpec) modelOwn(ns *facts.Namespace, present bool) {
	t := findTable(ns.Tables, facts.BackendNFT, "inet", NFTable)
	if present {
		if t == nil {
			ns.Tables = append(ns.Tables, facts.Table{Backend: facts.BackendNFT, Family: "inet", Name: NFTable})
			t = &ns.Tables[len(ns.Tables)-1]
		}
		if t.Chain(r.Own.Name) == nil {
			t.Chains = append(t.Chains, *r.Own)
		}
		return
	}
	t.Chains = slices.DeleteFunc(t.Chains, func(c facts.Chain) bool { return c.Name == r.Own.Name })
	if len(t.Chains) == 0 {
		ns.Tables = slices.DeleteFunc(ns.Tables, func(t facts.Table) bool { return t.Family == "inet" && t.Name == NFTable })
		if len(ns.Tables) == 0 {
			ns.Tables = nil
		}
	}
}
