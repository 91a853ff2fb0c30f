// Package iptrules writes rules by the programs iptables and ip6tables of either backend. It is apart from package host because the library that it uses makes
// regular expressions when any program starts that links it, and a pod waits for one that never writes a rule.
package iptrules

import (
	"fmt"

	"github.com/coreos/go-iptables/iptables"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host/internal/program"
)

// Write puts the rules of a knob where the site says, or takes them out. Each step is one that may have been made already. It must be called on a thread in the
// namespace that is meant, whose root directory has the program.
func Write(site fix.RuleSite, r fix.RuleSpec, present bool) error {
	family := iptables.ProtocolIPv4
	if site.Family == "ip6" {
		family = iptables.ProtocolIPv6
	}
	path, err := program.Find(fix.Program(site))
	if err != nil {
		return err
	}
	ipt, err := iptables.New(iptables.IPFamily(family), iptables.Path(path), iptables.Timeout(int(program.Limit.Seconds())))
	if err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	if present {
		return insert(ipt, r)
	}
	return remove(ipt, r)
}

// insert makes the jump last, so that no packet meets half a chain.
func insert(ipt *iptables.IPTables, r fix.RuleSpec) error {
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

// remove takes the rules out, and with the last of them the jump and the chain.
func remove(ipt *iptables.IPTables, r fix.RuleSpec) error {
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
