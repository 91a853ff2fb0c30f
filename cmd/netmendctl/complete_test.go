package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/audit"
)

func TestBehindComma(t *testing.T) {
	list := []string{"one\tthe first", "two", "three"}
	for typed, want := range map[string][]string{
		"":           list,
		"t":          list,
		"one,":       {"one,two", "one,three"},
		"three,one,": {"three,one,two"},
		",":          {",one\tthe first", ",two", ",three"},
	} {
		if d := cmp.Diff(want, behindComma(list, typed)); d != "" {
			t.Errorf("behindComma(%q) (-want +got):\n%s", typed, d)
		}
	}
}

// TestExamplesNameChecks holds that the examples of help and man pages name checks that there are.
func TestExamplesNameChecks(t *testing.T) {
	e := newTestEnv(t)
	suite, err := audit.Default()
	if err != nil {
		t.Fatal(err)
	}
	e.suite = suite
	named := 0
	each(newRoot(e.env), func(c *cobra.Command) {
		for _, m := range regexp.MustCompile(`(?:--check|--skip|explain) ([a-z][a-z0-9,=-]*)`).FindAllStringSubmatch(c.Example, -1) {
			for _, text := range strings.Split(m[1], ",") {
				named++
				choice, err := audit.ParseChoice(text)
				if err == nil {
					_, err = suite.Find(choice.Check)
				}
				if err != nil {
					t.Errorf("%s: the example has %q: %v", c.Name(), m[0], err)
				}
			}
		}
	})
	if named < 4 {
		t.Errorf("the examples name %d checks; want more", named)
	}
}

func each(c *cobra.Command, do func(*cobra.Command)) {
	do(c)
	for _, inner := range c.Commands() {
		each(inner, do)
	}
}
