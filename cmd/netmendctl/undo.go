//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/report"
)

// undoCommand is the flags of undo.
type undoCommand struct {
	env         *env
	output      outputFlags
	journal     journalFlags
	root, netns string
	all         bool
}

func newUndo(e *env) *cobra.Command {
	u := &undoCommand{env: e}
	c := &cobra.Command{
		Use:   "undo [ID]...",
		Short: "Take fixes back: by their numbers in the history, or all",
		Long: `Undo gives every value of a fix what it was before, the last fix first. A value that somebody else has changed since is left alone, and undo says so.
Of a contested fix it only forgets that it is contested, so that it may be tried again.

It ends with 0 where all that was asked for was undone, and 2 where something was not.`,
		Example: `  netmendctl undo 3
  netmendctl undo --all`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error { return u.run(c.Context(), args) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&u.all, "all", false, "undo every fix in force")
	u.journal.add(flags, true)
	u.output.add(c, []string{"text", "json"})
	flags.StringVar(&u.root, "root", "", "`DIR` that holds the node's /proc, /sys, /etc and /var (default /)")
	flags.StringVar(&u.netns, "netns", "", "`PATH` of the network namespace in which the node lives (default: this one)")
	return c
}

func (u *undoCommand) run(ctx context.Context, args []string) (err error) {
	if err := u.output.known("text", "json"); err != nil {
		return err
	}
	ids, err := u.ids(args)
	if err != nil {
		return err
	}
	m, err := u.journal.open(ctx, u.root, u.netns, repair.Options{Who: "netmendctl undo"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	before := settledLines(m)
	if d, _, err := askDaemon(daemonSocket(u.root), daemonPatience); err == nil && d.Mode == "fix" {
		before = append(before, "warning: netmendd runs here in mode fix and makes a fix again while its fault lasts: checks.NAME.fix: off in its configuration forbids it")
	}
	var undone []repair.Entry
	var failed error
	if u.all {
		undone, failed = m.UndoAll(ctx)
	}
	for _, id := range ids {
		e, err := m.Undo(ctx, id)
		if err == nil {
			undone = append(undone, e)
		}
		failed = errors.Join(failed, err)
	}
	if u.output.format == "json" {
		return errors.Join(emitJSON(u.env, fixesDocument("UndoReport", undone, before)), failed)
	}
	return errors.Join(emit(u.env.out, undoText(undone, before)), failed)
}

// ids are the numbers of the arguments, the highest first: a later fix may stand on an earlier one.
func (u *undoCommand) ids(args []string) ([]int, error) {
	if u.all == (len(args) > 0) {
		return nil, errors.New("give the numbers of fixes that netmendctl history lists, or --all")
	}
	var ids []int
	for _, a := range args {
		id, err := strconv.Atoi(a)
		if err != nil || id <= 0 {
			return nil, fmt.Errorf("%q is no number of a fix: netmendctl history lists them", a)
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return slices.Compact(ids), nil
}

func undoText(undone []repair.Entry, before []string) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(report.Printable(fmt.Sprintf(format, args...)) + "\n") }
	for _, w := range before {
		line("%s", w)
	}
	if len(undone) == 0 {
		line("Nothing was in force.")
	}
	for _, e := range undone {
		line("%s %d: %s on %s", e.State, e.ID, e.Check, where(e.On))
		for _, s := range slices.Backward(e.Steps) {
			if s.Left != "" {
				line("   left alone: %s on %s: %s", s.Change.Knob, where(s.Change.On), s.Left)
			} else if s.Marked {
				line("   %s", changeLine(s.Change, s.Change.To, s.Change.From))
			}
		}
	}
	return b.String()
}
