package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// candidates gives what may stand for an argument or a flag's value, each with a tab and a description if it has one.
type candidates func() []string

func words(list ...string) candidates { return func() []string { return list } }

// checkNames gives the names of the checks with their titles.
func checkNames(e *env) candidates {
	return func() []string {
		var out []string
		for _, c := range e.suite.Checks() {
			out = append(out, c.Name+"\t"+c.Title)
		}
		return out
	}
}

// complete makes a flag's values known to shells, also behind a comma. A flag that does not exist is a mistake in this program.
func complete(c *cobra.Command, flag string, list candidates) {
	err := c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return behindComma(list(), typed), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(fmt.Sprintf("complete --%s: %v", flag, err))
	}
}

func behindComma(list []string, typed string) []string {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	out := make([]string, 0, len(list))
	for _, word := range list {
		out = append(out, before+word)
	}
	return out
}

// firstArgument completes the first argument, and no files after it.
func firstArgument(list candidates) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return list(), cobra.ShellCompDirectiveNoFileComp
	}
}
