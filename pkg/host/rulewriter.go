package host

import (
	"errors"
	"fmt"

	"github.com/coreos/go-iptables/iptables"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host/internal/program"
)

// ruleTables reads what a rule knob is judged by: the tables of both backends, or of the one that this kernel has.
func ruleTables(ns *NS) ([]facts.Table, error) {
	tables, err := ns.NFTables()
	if err != nil && !errors.Is(err, ErrAbsent) {
		return nil, err
	}
	legacy, err := ns.Legacy()
	if err != nil && !errors.Is(err, ErrAbsent) {
		return nil, err
	}
	return append(tables, legacy...), nil
}

func getRule(_ *Host, ns *NS, c fix.Change) (string, error) {
	r, err := fix.ParseRule(c.Knob)
	if err != nil {
		return "", err
	}
	tables, err := ruleTables(ns)
	if err != nil {
		return "", err
	}
	_, value, err := r.Sites(tables)
	return value, err
}

// setRule puts the rule where it belongs, or takes it from wherever it is. Each step is one that may have been made already, so that it also
// mends what a program left that died half way.
func setRule(_ *Host, ns *NS, c fix.Change) error {
	r, err := fix.ParseRule(c.Knob)
	if err != nil {
		return err
	}
	tables, err := ruleTables(ns)
	if err != nil {
		return err
	}
	var sites []fix.RuleSite
	switch c.To {
	case fix.Present:
		sites, err = r.Place(tables)
	case fix.Absent:
		sites, _, err = r.Sites(tables)
	default:
		err = fmt.Errorf("%q is neither %s nor %s", c.To, fix.Present, fix.Absent)
	}
	if err != nil {
		return err
	}
	for _, site := range sites {
		if err := setRuleAt(r, site, tables, c.To == fix.Present); err != nil {
			return err
		}
	}
	return nil
}

func setRuleAt(r fix.RuleSpec, site fix.RuleSite, tables []facts.Table, present bool) error {
	if site.Own {
		return setOwnChain(r, tables, present)
	}
	family := iptables.ProtocolIPv4
	if site.Family == "ip6" {
		family = iptables.ProtocolIPv6
	}
	path, err := program.Find("/", fix.Program(site))
	if err != nil {
		return err
	}
	ipt, err := iptables.New(iptables.IPFamily(family), iptables.Path(path), iptables.Timeout(int(program.Limit.Seconds())))
	if err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	if present {
		return insertRule(ipt, r)
	}
	return removeRule(ipt, r)
}

// insertRule makes the jump last, so that no packet meets half a chain.
func insertRule(ipt *iptables.IPTables, r fix.RuleSpec) error {
	exists, err := ipt.ChainExists(r.Table, r.Chain)
	if err == nil && !exists {
		err = ipt.NewChain(r.Table, r.Chain)
	}
	if err != nil {
		return err
	}
	for _, rule := range r.Rules {
		if err := ipt.AppendUnique(r.Table, r.Chain, rule.Args...); err != nil {
			return err
		}
	}
	return ipt.InsertUnique(r.Table, r.Base, 1, "-j", r.Chain)
}

// removeRule takes the rules out, and with the last of them the jump and the chain.
func removeRule(ipt *iptables.IPTables, r fix.RuleSpec) error {
	for _, rule := range r.Rules {
		if err := ipt.DeleteIfExists(r.Table, r.Chain, rule.Args...); err != nil {
			return err
		}
	}
	left, err := ipt.List(r.Table, r.Chain)
	if err != nil {
		return err
	}
	if len(left) > 1 { // the first line declares the chain
		return nil
	}
	if err := ipt.DeleteIfExists(r.Table, r.Base, "-j", r.Chain); err != nil {
		return err
	}
	return ipt.DeleteChain(r.Table, r.Chain)
}

// setOwnChain changes netmend's own nftables table. nft makes all of it in one transaction. Like iptables it is the program that netmend came with, not the
// node's: what it writes is the same to every kernel.
func setOwnChain(r fix.RuleSpec, tables []facts.Table, present bool) error {
	for _, words := range r.OwnCommands(tables, present) {
		if err := program.Run("/", words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}
