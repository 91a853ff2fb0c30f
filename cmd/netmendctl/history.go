//go:build linux

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/report"
)

// historyCommand is the flags of history.
type historyCommand struct {
	env     *env
	output  outputFlags
	journal journalFlags
	root    string
}

// historyDocument lists fixes. Fields are added, never changed.
type historyDocument struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Fixes      []repair.Entry `json:"fixes"`
	Warnings   []string       `json:"warnings"`
}

func newHistory(e *env) *cobra.Command {
	h := &historyCommand{env: e}
	c := &cobra.Command{
		Use:   "history",
		Short: "List the fixes that were made, and what has become of them",
		Long: `History lists the fixes of the journal, the oldest first. A fix is begun, applied, verified, undoing, undone, contested (somebody else
set a value back twice within an hour) or gone (with its object, or with a reboot). It changes nothing.`,
		Example: `  netmendctl history
  netmendctl history -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return h.run() },
	}
	flags := c.Flags()
	flags.SortFlags = false
	h.journal.add(flags, false)
	h.output.add(c, []string{"text", "json"})
	flags.StringVar(&h.root, "root", "", "`DIR` that holds the node's /var (default /)")
	return c
}

func (h *historyCommand) run() error {
	if err := h.output.known("text", "json"); err != nil {
		return err
	}
	entries, warnings, err := repair.History(h.journal.path(h.root))
	if err != nil {
		return err
	}
	if h.output.format == "json" {
		return emitJSON(h.env, fixesDocument("History", entries, warnings))
	}
	return emit(h.env.out, historyText(entries, warnings))
}

func fixesDocument(kind string, entries []repair.Entry, warnings []string) historyDocument {
	return historyDocument{
		APIVersion: report.APIVersion, Kind: kind, Fixes: append([]repair.Entry{}, entries...), Warnings: append([]string{}, warnings...),
	}
}

func historyText(entries []repair.Entry, warnings []string) string {
	var b strings.Builder
	for _, w := range warnings {
		fmt.Fprintf(&b, "warning: %s\n", report.Printable(w))
	}
	if len(entries) == 0 {
		b.WriteString("No fix was made here.\n")
		return b.String()
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tBEGAN\tSTATE\tCHECK\tON\tCHANGE")
	for _, e := range entries {
		for i, s := range e.Steps {
			change := fmt.Sprintf("%s  %s -> %s", s.Change.Knob, shown(s.Change.From), shown(s.Change.To))
			if i == 0 {
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.Began.UTC().Format("2006-01-02 15:04:05"), e.State, e.Check,
					report.Printable(where(s.Change.On)), report.Printable(change))
				continue
			}
			fmt.Fprintf(w, "\t\t\t\t%s\t%s\n", report.Printable(where(s.Change.On)), report.Printable(change))
		}
		for _, line := range remarks(e) {
			fmt.Fprintf(w, "\t\t\t\t\t%s\n", report.Printable(line))
		}
	}
	_ = w.Flush() // into memory
	return b.String()
}

// remarks are what does not go without saying: why a fix has ended, and what was left alone.
func remarks(e repair.Entry) (lines []string) {
	if e.Reason != "" {
		lines = append(lines, e.Reason)
	}
	for _, s := range e.Steps {
		if s.Left != "" {
			lines = append(lines, fmt.Sprintf("%s was left alone: %s", s.Change.Knob, s.Left))
		}
	}
	return append(lines, e.Warnings...)
}
