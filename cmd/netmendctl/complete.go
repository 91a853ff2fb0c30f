package main

import (
	"fmt"
	"slices"
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

// behindComma puts what was typed up to the last comma before each word, and leaves out the words that are in it.
func behindComma(list []string, typed string) []string {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	given := strings.Split(before, ",")
	out := make([]string, 0, len(list))
	for _, word := range list {
		if name, _, _ := strings.Cut(word, "\t"); !slices.Contains(given, name) {
			out = append(out, before+word)
		}
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
