package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/cluster"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/report"
)

// checkInfo is a check as -o json lists it. Fields are added, never changed.
type checkInfo struct {
	Name     string         `json:"name"`
	Title    string         `json:"title"`
	Severity check.Severity `json:"severity"` // the highest that it reports
	Since    string         `json:"since"`
	Needs    []facts.Kind   `json:"needs"`
	Wants    []facts.Kind   `json:"wants"`
	Pods     bool           `json:"pods"` // it judges each pod too
	URL      string         `json:"url"`
}

func newChecks(e *env) *cobra.Command {
	var o outputFlags
	c := &cobra.Command{
		Use:   "checks",
		Short: "List the checks",
		Long:  "Checks lists every check of a node with the highest severity that it reports. Those of a cluster are in docs/cluster.md; explain knows them too.",
		Example: `  netmendctl checks
  netmendctl checks -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return listChecks(e, &o) },
	}
	o.add(c, []string{"text", "json"})
	return c
}

func listChecks(e *env, o *outputFlags) error {
	if err := o.known("text", "json"); err != nil {
		return err
	}
	list := e.suite.Checks()
	if o.format == "json" {
		out := make([]checkInfo, len(list))
		for i, c := range list {
			out[i] = checkInfo{c.Name, c.Title, c.Severity, c.Since, c.Needs, append([]facts.Kind{}, c.Wants...), c.Pods, report.Page(c.Name)}
		}
		return emitJSON(e, out)
	}
	widest := 0
	for _, c := range list {
		widest = max(widest, len(c.Name))
	}
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%-*s  %-8s  %s\n", widest, c.Name, c.Severity, c.Title)
	}
	return emit(e.out, b.String())
}

func newExplain(e *env) *cobra.Command {
	var o outputFlags
	c := &cobra.Command{
		Use:   "explain NAME",
		Short: "Explain a check: what breaks, how it is seen, how to mend it",
		Long: `Explain prints the page of a check: what breaks, how it is seen by hand, the fix and its undo. On a terminal it is laid out; elsewhere it is
Markdown.`,
		Example: `  netmendctl explain tunnel-tx-checksum
  netmendctl explain tunnel-tx-checksum > tunnel-tx-checksum.md`,
		ValidArgsFunction: firstArgument(allNames(e)),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("explain: it takes the name of one check: netmendctl checks lists them")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return explain(e, &o, args[0]) },
	}
	o.add(c, []string{"text", "markdown"})
	return c
}

// allNames gives the names of the checks of nodes and of clusters.
func allNames(e *env) candidates {
	return func() []string {
		out := checkNames(e)()
		for _, c := range cluster.All() {
			out = append(out, c.Name+"\t"+c.Title)
		}
		return out
	}
}

func explain(e *env, o *outputFlags, name string) error {
	if err := o.known("text", "markdown"); err != nil {
		return err
	}
	var found *check.Check
	if c := cluster.ByName(name); c != nil {
		found = c.Page()
	} else {
		var err error
		if found, err = e.suite.Find(name); err != nil {
			return err
		}
	}
	if o.format == "markdown" || !e.isTerminal(e.out) && o.colour != "always" {
		return emit(e.out, report.Markdown(found))
	}
	style, err := o.style(e)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := report.Explain(&b, found, style); err != nil {
		return err
	}
	return emit(e.out, b.String())
}
