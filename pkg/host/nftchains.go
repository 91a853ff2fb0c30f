package host

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of the rules that are read.
const (
	maxRules      = 512  // of one chain; a longer one is left unread
	maxRuleChains = 64   // of one table, beside its base chains
	maxUse        = 4096 // rules of a chain and references to it, above which not even the rules are asked for
)

// errTooMany ends the reading of a chain that is longer than maxRules.
var errTooMany = errors.New("more rules than are read")

func (r *nftReader) readChains() error {
	var last *nftTable
	return r.c.dump(nftMsg(unix.NFT_MSG_GETCHAIN), nfgenmsg(unix.AF_UNSPEC), func(m nlMsg) error {
		var a nftChainAttrs
		if err := nfAttrs(m.Body, a.take); err != nil {
			return err
		}
		last = r.table(last, m.Body[0], a.table)
		if last == nil || !nftRead(last.family) {
			return nil
		}
		if p := bulkPrefix(a.name); p != "" {
			last.count(p)
			return nil
		}
		if r.chains == maxChains {
			return fmt.Errorf("more than %d chains", maxChains)
		}
		r.chains++
		c, err := a.chain(last.family)
		if err != nil {
			return err
		}
		if last.dormant {
			c.Hook = ""
		}
		last.index[c.Name] = len(last.Chains)
		last.Chains = append(last.Chains, c)
		last.use = append(last.use, a.use)
		return nil
	})
}

// nftChainAttrs are the attributes of a chain's message, which they alias.
type nftChainAttrs struct {
	table, name, hook, kind, policy, counters []byte
	use                                       uint32
}

func (a *nftChainAttrs) take(typ uint16, v []byte) {
	switch typ {
	case unix.NFTA_CHAIN_TABLE:
		a.table = trimNul(v)
	case unix.NFTA_CHAIN_NAME:
		a.name = trimNul(v)
	case unix.NFTA_CHAIN_HOOK:
		a.hook = v
	case unix.NFTA_CHAIN_TYPE:
		a.kind = v
	case unix.NFTA_CHAIN_POLICY:
		a.policy = v
	case unix.NFTA_CHAIN_COUNTERS:
		a.counters = v
	case unix.NFTA_CHAIN_USE:
		a.use = attrBE32(v)
	}
}

func (a *nftChainAttrs) chain(family uint8) (facts.Chain, error) {
	c := facts.Chain{Name: string(a.name), Type: attrString(a.kind)}
	if a.hook == nil {
		return c, nil
	}
	err := eachAttr(a.hook, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_HOOK_HOOKNUM:
			c.Hook = hookName(attrBE32(v))
		case unix.NFTA_HOOK_PRIORITY:
			c.Priority = int(int32(attrBE32(v)))
		}
	})
	if err != nil {
		return c, err
	}
	if len(a.policy) >= 4 {
		c.Policy = policyName(attrBE32(a.policy))
	}
	err = eachAttr(a.counters, func(typ uint16, v []byte) {
		if typ == unix.NFTA_COUNTER_PACKETS && len(v) >= 8 {
			p := attrBE64(v)
			c.Packets = &p
		}
	})
	return c, err
}

// hookName names a hook of the IP families (enum nf_inet_hooks).
func hookName(n uint32) string {
	names := [...]string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}
	if int64(n) < int64(len(names)) {
		return names[n]
	}
	return fmt.Sprintf("hook %d", n)
}

// policyName names a base chain's policy, which nf_tables keeps as NF_DROP or NF_ACCEPT.
func policyName(n uint32) string {
	if n == 0 {
		return verdictDrop
	}
	return verdictAccept
}

// readRules reads the rules of the chains that matter: every base chain, the chains that [ruleChain] names, and what can be reached from the forward
// and postrouting hooks.
func (r *nftReader) readRules() error {
	for _, t := range r.tables {
		read := func(i int) error { return r.readChain(t, i) }
		if err := readWanted(t.Chains, t.index, read); err != nil {
			return err
		}
	}
	return nil
}

// readWanted reads the rules of the chains of one table that matter, each once.
func readWanted(chains []facts.Chain, index map[string]int, read func(i int) error) error {
	queue := []int{}
	for i := range chains {
		c := &chains[i]
		if c.Hook == "" {
			continue
		}
		if err := read(i); err != nil {
			return err
		}
		if c.Hook == "forward" || c.Hook == "postrouting" {
			queue = append(queue, i)
		}
	}
	budget, tried := maxRuleChains, map[int]bool{}
	take := func(i int) (bool, error) {
		if chains[i].Hook != "" || tried[i] || budget == 0 {
			return false, nil
		}
		tried[i] = true
		budget--
		return true, read(i)
	}
	for i := range chains {
		if ruleChain(chains[i].Name) {
			if _, err := take(i); err != nil {
				return err
			}
		}
	}
	followed := map[int]bool{}
	for len(queue) > 0 {
		i := queue[0]
		queue = queue[1:]
		if followed[i] {
			continue
		}
		followed[i] = true
		for _, rule := range chains[i].Rules {
			if rule.Verdict != verdictJump && rule.Verdict != verdictGoto {
				continue
			}
			target, ok := index[rule.Target]
			if !ok {
				continue
			}
			if _, err := take(target); err != nil {
				return err
			}
			queue = append(queue, target)
		}
	}
	return nil
}

func (r *nftReader) readChain(t *nftTable, i int) error {
	c := &t.Chains[i]
	if t.use[i] > maxUse {
		return nil
	}
	rules, err := r.nftRules(t, c.Name)
	if errors.Is(err, errTooMany) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rules of chain %s %s %s: %w", t.Family, t.Name, c.Name, err)
	}
	c.Rules, c.RulesRead = rules, true
	return nil
}

// nftRules reads the rules of one chain; more than maxRules give errTooMany. A rule that looks up anonymous sets is told as several.
func (r *nftReader) nftRules(t *nftTable, chain string) ([]facts.FilterRule, error) {
	var read []nftRule
	err := r.c.eachNFTRule(t.family, t.Name, chain, r.ifname, func(rule nftRule) error {
		if len(read) == maxRules {
			return errTooMany
		}
		if rule.sets {
			rule.attrs = bytes.Clone(rule.attrs)
		}
		read = append(read, rule)
		return nil
	})
	if err != nil || len(read) == 0 {
		return nil, err
	}
	find := func(name string) (*nftSet, error) { return r.set(nftSetName{t.family, t.Name, name}) }
	rules, more := make([]facts.FilterRule, 0, len(read)), maxMore
	for _, rule := range read {
		if !rule.sets {
			rules = append(rules, rule.FilterRule)
			continue
		}
		several, err := decodeNFTSets(t.family, rule.attrs, r.ifname, find)
		switch {
		case errors.Is(err, errWays) || err == nil && len(several)-1 > more:
			several = []facts.FilterRule{rule.FilterRule}
		case err != nil:
			return nil, err
		}
		rules, more = append(rules, several...), more-len(several)+1
	}
	return rules, nil
}

// eachNFTRule gives the rules of one chain to fn.
func (c *nlConn) eachNFTRule(family uint8, table, chain string, ifname func(uint32) string, fn func(nftRule) error) error {
	return c.eachNFTMessage(family, table, chain, func(body []byte) error {
		rule, err := decodeNFTRule(family, body, ifname)
		if err != nil {
			return err
		}
		return fn(rule)
	})
}

// eachNFTMessage gives the rules of one chain to fn as the kernel writes them.
func (c *nlConn) eachNFTMessage(family uint8, table, chain string, fn func([]byte) error) error {
	req := appendAttr(nfgenmsg(family), unix.NFTA_RULE_TABLE, nulString(table))
	req = appendAttr(req, unix.NFTA_RULE_CHAIN, nulString(chain))
	return c.dump(nftMsg(unix.NFT_MSG_GETRULE), req, func(m nlMsg) error {
		// A kernel that does not know the filter lists every rule there is.
		mine := true
		err := nfAttrs(m.Body, func(typ uint16, v []byte) {
			switch typ {
			case unix.NFTA_RULE_TABLE:
				mine = mine && string(trimNul(v)) == table
			case unix.NFTA_RULE_CHAIN:
				mine = mine && string(trimNul(v)) == chain
			}
		})
		if err != nil || !mine || m.Body[0] != family {
			return err
		}
		return fn(m.Body[nfgenmsgLen:])
	})
}

func nulString(s string) []byte { return append([]byte(s), 0) }

// others gives the names of states that are not in the list.
func others(all, some []string) []string {
	var rest []string
	for _, s := range all {
		if !slices.Contains(some, s) {
			rest = append(rest, s)
		}
	}
	return rest
}
