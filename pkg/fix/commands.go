package fix

import (
	"fmt"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Commands are the shell commands that do what a fix does, in order; for advice, the advice itself.
func Commands(s *facts.Snapshot, f Fix) []string {
	if len(f.Changes) == 0 {
		return f.Advice
	}
	commands := make([]string, len(f.Changes))
	for i, c := range f.Changes {
		commands[i] = Command(s, c)
	}
	return commands
}

// Command is the shell command that makes a change: quoted, on one line, and run in the object's network namespace. It does not look at the precondition,
// except where a file is removed. Where there is no command it is a shell comment that says why.
func Command(s *facts.Snapshot, c Change) string {
	family, arg := c.Knob.Split()
	switch {
	case c.Knob == LinkMTU:
		return inside(s, c, "ip", "link", "set", "dev", c.On.Name, "mtu", c.To)
	case c.Knob == Hairpin:
		return inside(s, c, "bridge", "link", "set", "dev", c.On.Name, "hairpin", c.To)
	case family == FamilyEthtool:
		return inside(s, c, "ethtool", "-K", c.On.Name, arg, c.To)
	case family == FamilySysctl && ValidSysctl(arg):
		return inside(s, c, "sysctl", "-w", arg+"="+c.To)
	case family == FamilyModule && c.To == Loaded:
		return quoteAll([]string{"modprobe", arg})
	case family == FamilyModule && c.To == Absent:
		return quoteAll([]string{"rmmod", arg})
	case family == FamilyRule:
		return ruleCommand(s, c)
	case family == FamilyIPAM:
		return reservationCommand(arg, c)
	}
	return fmt.Sprintf("# no command sets %q to %q", c.Knob, c.To)
}

// inside prefixes a command with the way into the namespace of the change's object.
func inside(s *facts.Snapshot, c Change, words ...string) string {
	ns := s.Namespace(c.On.NetNS)
	if ns == nil {
		return fmt.Sprintf("# no network namespace %d in the snapshot", c.On.NetNS)
	}
	return enter(ns, words)
}

func enter(ns *facts.Namespace, words []string) string {
	if ns.Path == "" {
		return quoteAll(words)
	}
	return "nsenter --net=" + quote(ns.Path) + " " + quoteAll(words)
}

// reservationCommand holds host-local's own lock, flock(2) on the file "lock" in the directory (plugins/ipam/host-local/backend/disk/lock.go), and only
// removes a file that still says what it said.
func reservationCommand(arg string, c Change) string {
	dir, addr, _ := strings.Cut(arg, ":")
	text, script := c.From, `[ "$(cat)" = "$(cat "$0")" ] && rm "$0"`
	if c.To != Absent {
		text, script = c.To, `set -C && umask 077 && cat >"$0"`
	}
	id, ifName, both := strings.Cut(text, "\r\n")
	words := []string{"printf", "%s", id}
	if both {
		words = []string{"printf", `%s\r\n%s`, id, ifName}
	}
	return quoteAll(words) + " | " + quoteAll([]string{"flock", dir + "/lock", "sh", "-c", script, dir + "/" + addr})
}

// ruleCommand is the commands that put netmend's rule where it belongs on this node, or take it from where it is, joined by &&. The jump comes last
// and goes first, so that no packet meets half a chain.
func ruleCommand(s *facts.Snapshot, c Change) string {
	r, err := ParseRule(c.Knob)
	if err != nil {
		return fmt.Sprintf("# %q", err)
	}
	sites, _, err := r.Sites(s.Host.Tables)
	if err == nil && c.To == Present {
		sites, err = r.Place(s.Host.Tables)
	}
	var steps []string
	for _, site := range sites {
		words, failed := r.steps(s.Host.Tables, site, c.To == Present)
		if failed != nil {
			err = failed
		}
		for _, w := range words {
			steps = append(steps, enter(&s.Host, w))
		}
	}
	switch {
	case err != nil:
		return fmt.Sprintf("# %q", err)
	case len(steps) == 0:
		return fmt.Sprintf("# %s is %s already", c.Knob, c.To)
	}
	return strings.Join(steps, " && ")
}

func (r RuleSpec) steps(tables []facts.Table, site RuleSite, present bool) ([][]string, error) {
	if site.Own {
		return r.OwnCommands(tables, present), nil
	}
	st, err := r.at(tables, site)
	if err != nil {
		return nil, err
	}
	ipt := func(words ...string) []string {
		return append([]string{Program(site), "-w", "-t", r.Table}, words...)
	}
	var steps [][]string
	if present {
		if st.chain == nil {
			steps = append(steps, ipt("-N", r.Chain))
		}
		for i, rule := range r.Rules {
			if !st.rules[i] {
				steps = append(steps, ipt(append([]string{"-A", r.Chain}, rule.Args...)...))
			}
		}
		if st.jump < 0 {
			steps = append(steps, ipt("-I", r.Base, "1", "-j", r.Chain))
		}
		return steps, nil
	}
	if !st.alone {
		for i, rule := range r.Rules {
			if st.rules[i] {
				steps = append(steps, ipt(append([]string{"-D", r.Chain}, rule.Args...)...))
			}
		}
		return steps, nil
	}
	if st.jump >= 0 {
		steps = append(steps, ipt("-D", r.Base, "-j", r.Chain))
	}
	return append(steps, ipt("-F", r.Chain), ipt("-X", r.Chain)), nil
}

// OwnCommands are the commands, as words, that put the rule into netmend's own nftables table, or take it out; none where that is so already.
func (r RuleSpec) OwnCommands(tables []facts.Table, present bool) [][]string {
	own := r.ownChain(tables)
	switch {
	case present && own == nil:
		return [][]string{{"nft", fmt.Sprintf("add table inet %s { chain %s { %s }; }", NFTable, r.Own.Name, r.OwnText)}}
	case present || own == nil:
		return nil
	case len(findTable(tables, facts.BackendNFT, "inet", NFTable).Chains) == 1:
		return [][]string{{"nft", "delete table inet " + NFTable}}
	}
	return [][]string{{"nft", "delete chain inet " + NFTable + " " + r.Own.Name}}
}

// Program is the name of the iptables program of a site's backend and family.
func Program(site RuleSite) string {
	program := "iptables"
	if site.Family == "ip6" {
		program = "ip6tables"
	}
	return program + "-" + site.Backend
}
