package host

import (
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// maxCauses is how many events a Change names.
const maxCauses = 3

// changes gathers events into one [Change].
type changes struct {
	Change
	causes []string
	buf    []byte // to receive into
}

func (c *changes) empty() bool { return len(c.Kinds) == 0 && !c.Pods && !c.Lost }

func (c *changes) kinds(kinds ...facts.Kind) {
	for _, k := range kinds {
		if !slices.Contains(c.Kinds, k) {
			c.Kinds = append(c.Kinds, k)
		}
	}
}

func (c *changes) link(index int) {
	if !slices.Contains(c.Links, index) {
		c.Links = append(c.Links, index)
	}
}

func (c *changes) cause(words ...string) {
	if len(c.causes) > maxCauses {
		return
	}
	for i, w := range words {
		words[i] = printable(w)
	}
	if s := strings.Join(words, " "); !slices.Contains(c.causes, s) {
		c.causes = append(c.causes, s)
	}
}

// take gives what was gathered and begins anew.
func (c *changes) take() Change {
	out := c.Change
	order := append(facts.NamespaceKinds(), facts.NodeKinds()...)
	slices.SortFunc(out.Kinds, func(a, b facts.Kind) int { return slices.Index(order, a) - slices.Index(order, b) })
	slices.Sort(out.Links)
	if len(c.causes) > maxCauses {
		c.causes[maxCauses] = "others"
	}
	out.Cause = strings.Join(c.causes, ", ")
	c.Change, c.causes = Change{}, nil
	return out
}

// printable quotes a name in which somebody has put what a terminal would obey.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		return strconv.Quote(s)
	}
	return s
}
