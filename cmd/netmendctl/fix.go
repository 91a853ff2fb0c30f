//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

// fixCommand is the flags of fix.
type fixCommand struct {
	env     *env
	source  sourceFlags
	output  outputFlags
	journal journalFlags

	named                []string
	dryRun, yes, persist bool
	watch                time.Duration
}

func newFix(e *env) *cobra.Command {
	f := &fixCommand{env: e}
	c := &cobra.Command{
		Use:   "fix",
		Short: "Mend what the audit finds, after showing how; every change can be undone",
		Long: `Fix audits the node, shows which fixes it would make, asks, makes them and proves that they worked: each value is read back and watched, and
the check is run again. What it changes is in a journal first, so that netmendctl undo takes it back, also after a crash and after a reboot.

Without --check it makes the fixes that may run unasked (netmendctl audit marks them); with it, also others of the checks that are named.
Sysctls and modules are written to files that are read at boot.

It ends with 0 where all that was planned was done and proved, 1 where some was not, and 2 where it could not do what was asked.`,
		Example: `  netmendctl fix --dry-run
  netmendctl fix --yes
  netmendctl fix --check rp-filter-strict,bridge-nf-call
  netmendctl fix --check tunnel-tx-checksum=2
  netmendctl fix --from node1.json --dry-run`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.named, "check", nil, "mend only what these checks find, and also what needs to be asked for: `NAME`,NAME or NAME=2 for the second fix that audit shows; repeatable")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show the plan and change nothing")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&f.persist, "persist", false, "write a udev rule for offload features too, for nodes without netmend's daemon")
	flags.DurationVar(&f.watch, "watch", time.Second, "how long a value must stay before it counts as set, `TIME`")
	f.journal.add(flags, true)
	f.output.add(c, []string{"text", "json"})
	f.source.add(flags)
	complete(c, "check", checkNames(e))
	return c
}

func (f *fixCommand) run(ctx context.Context) error {
	if err := f.output.known("text", "json"); err != nil {
		return err
	}
	chosen, names, err := f.chosen()
	if err != nil {
		return err
	}
	checks, err := f.env.suite.Select(names, nil)
	if err != nil {
		return err
	}
	if f.source.from != "" && !f.dryRun {
		return errors.New("--from reads a document, which cannot be mended: it goes with --dry-run only")
	}
	if !f.dryRun && !f.yes && (f.output.format == "json" || !f.env.isTerminal(f.env.in)) {
		return errors.New("there is no terminal to ask: give --yes to make the fixes, or --dry-run to see them")
	}
	var earlier []string
	if !f.dryRun {
		if earlier, err = f.settle(ctx); err != nil {
			return err
		}
	}
	s, err := f.source.snapshot(ctx, f.env, f.kinds(checks))
	if err != nil {
		return err
	}
	proposals, others := f.env.suite.Propose(audit.Judge(s, checks), chosen)
	plan, refused := fix.Plan(proposals)
	doc := newMendDocument(s, plan, append(refused, others...))
	doc.DryRun, doc.Warnings = f.dryRun, append(doc.Warnings, earlier...)
	style, err := f.output.style(f.env)
	if err != nil {
		return err
	}
	p := mendPage{style: style}
	if f.output.format == "text" {
		if err := emit(f.env.out, p.plan(doc)); err != nil {
			return err
		}
	}
	if !f.dryRun && len(plan) > 0 {
		if err := f.ask(ctx, len(plan)); err != nil {
			return err
		}
		if err := f.mend(ctx, s, checks, plan, doc); err != nil {
			return err
		}
	}
	return f.finish(doc, p)
}

// chosen reads --check.
func (f *fixCommand) chosen() (chosen []audit.Choice, names []string, err error) {
	for _, text := range f.named {
		c, err := audit.ParseChoice(text)
		if err != nil {
			return nil, nil, fmt.Errorf("--check %w", err)
		}
		chosen, names = append(chosen, c), append(names, c.Check)
	}
	return chosen, names, nil
}

func (f *fixCommand) finish(doc *mendDocument, p mendPage) error {
	var err error
	if f.output.format == "json" {
		err = emitJSON(f.env, doc)
	} else {
		err = emit(f.env.out, p.results(doc))
	}
	if err == nil && doc.failed() {
		err = errFindings
	}
	return err
}

// kinds are what the checks need and what tells who else sets a value.
func (f *fixCommand) kinds(checks []*check.Check) []facts.Kind {
	kinds := audit.Kinds(checks)
	for _, k := range []facts.Kind{facts.KindAgents, facts.KindSysctlFiles} {
		if !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

var errDeclined = errors.New("nothing was changed")

func (f *fixCommand) ask(ctx context.Context, n int) error {
	if f.yes {
		return nil
	}
	if err := emit(f.env.out, fmt.Sprintf("\nMake %s? Only \"yes\" is taken for that: ", count(n, "fix", "fixes"))); err != nil {
		return err
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(f.env.in).ReadString('\n') // no answer is not yes
		answer <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case a := <-answer:
		if a != "yes" {
			return errDeclined
		}
		return nil
	}
}

// settle deals with earlier fixes before the node is read: what a process left that died, and what somebody else has changed since. The lock is given back
// while a person thinks.
func (f *fixCommand) settle(ctx context.Context) (lines []string, err error) {
	m, err := f.journal.open(ctx, f.source.root, f.source.netns, repair.Options{Who: "netmendctl fix", Suspects: f.suspectsNow(ctx)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	lines = settledLines(m)
	ended, err := m.Look(ctx)
	if err != nil {
		lines = append(lines, fmt.Sprintf("warning: look at earlier fixes: %v", err))
	}
	for _, e := range ended {
		lines = append(lines, endedLine(e))
	}
	return lines, nil
}

// suspectsNow reads who may set a value back once somebody has.
func (f *fixCommand) suspectsNow(ctx context.Context) func(fix.Change) string {
	source, err := f.source.source()
	source.Kinds, source.Now, source.Window = []facts.Kind{facts.KindAgents, facts.KindSysctlFiles}, f.env.now, 0
	read := sync.OnceValues(func() (*facts.Snapshot, error) { return f.env.collect(ctx, source) })
	return func(c fix.Change) string {
		if err != nil {
			return "" // the flags are refused later
		}
		s, err := read()
		if err != nil {
			return ""
		}
		return audit.Suspects(s, c)
	}
}

// mend makes the planned fixes, each by itself, and judges the node again.
func (f *fixCommand) mend(ctx context.Context, s *facts.Snapshot, checks []*check.Check, plan []fix.Proposal, doc *mendDocument) (err error) {
	m, err := f.journal.open(ctx, f.source.root, f.source.netns, repair.Options{
		Who: "netmendctl fix", Udev: f.persist, Watch: f.watch, Suspects: func(c fix.Change) string { return audit.Suspects(s, c) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	doc.Warnings = append(doc.Warnings, settledLines(m)...)
	for _, p := range plan {
		if ctx.Err() != nil {
			break // what is not done is not among the results
		}
		e, err := m.Apply(ctx, p)
		doc.Results = append(doc.Results, newResult(s, p, e, err))
	}
	f.prove(ctx, checks, doc)
	return nil
}

// prove runs the checks again on what the node is now.
func (f *fixCommand) prove(ctx context.Context, checks []*check.Check, doc *mendDocument) {
	s, err := f.source.snapshot(ctx, f.env, f.kinds(checks))
	if err != nil {
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("the node could not be audited again: %v", err))
		return
	}
	r := audit.Judge(s, checks)
	for i := range doc.Results {
		doc.Results[i].prove(r)
	}
}
