package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host/internal/program"
)

// iptables changes one table by one of the programs iptables and ip6tables, of either backend. It needs a version with -C and --wait, which are ten years old. The library that is
// usual for it makes a regular expression when any program starts that links it, which costs the CNI plugin more than all of its questions about links.
type iptables struct{ program, table string }

// run waits for the lock of another that loads many rules.
func (t iptables) run(command, chain string, args ...string) (string, error) {
	args = append([]string{"-t", t.table, command, chain}, args...)
	return program.Output("/", t.program, append(args, "--wait", strconv.Itoa(int(program.Limit.Seconds())))...)
}

// has asks for something with a command that ends with 1 where it is not there.
func (t iptables) has(command, chain string, args ...string) (bool, error) {
	_, err := t.run(command, chain, args...)
	if program.ExitCode(err) == 1 {
		return false, nil
	}
	return err == nil, err
}

// change runs a command with what stands before the rule and the rule, if the rule is there or is not, as there says.
func (t iptables) change(there bool, command, chain string, before []string, rule ...string) error {
	has, err := t.has("-C", chain, rule...)
	if err == nil && has == there {
		_, err = t.run(command, chain, slices.Concat(before, rule)...)
	}
	return err
}

// insert makes the jump last, so that no packet meets half a chain.
func (t iptables) insert(r fix.RuleSpec) error {
	exists, err := t.has("-S", r.Chain, "1") // the first rule is enough: a chain may have many
	if err == nil && !exists {
		_, err = t.run("-N", r.Chain)
	}
	if err != nil {
		return err
	}
	for _, rule := range r.Rules {
		if err := t.change(false, "-A", r.Chain, nil, rule.Args...); err != nil {
			return err
		}
	}
	return t.change(false, "-I", r.Base, []string{"1"}, "-j", r.Chain)
}

// remove takes the rules out, and with the last of them the jump and the chain.
func (t iptables) remove(r fix.RuleSpec) error {
	for _, rule := range r.Rules {
		if err := t.change(true, "-D", r.Chain, nil, rule.Args...); err != nil {
			return err
		}
	}
	left, err := t.run("-S", r.Chain)
	if err != nil || strings.Count(left, "\n") > 1 { // the first line declares the chain
		return err
	}
	if err := t.change(true, "-D", r.Base, nil, "-j", r.Chain); err != nil {
		return err
	}
	_, err = t.run("-X", r.Chain)
	return err
}
