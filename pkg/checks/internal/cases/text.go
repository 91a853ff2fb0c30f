package cases

import (
	"fmt"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// Changes tells a fix that changes something from advice.
func Changes(f fix.Fix) bool { return len(f.Changes) > 0 }

// Text writes findings in full and in a form that does not change with the layout of reports: that of the golden files.
func Text(findings []check.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %s on %s (namespace %d, index %d)\n", f.Severity, f.Check, f.On.Name, f.On.NetNS, f.On.Index)
		fmt.Fprintf(&b, "  %s\n", f.Message)
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "  evidence: %s: %s", e.Fact, e.Got)
			if e.Want != "" {
				fmt.Fprintf(&b, " (want %s)", e.Want)
			}
			b.WriteByte('\n')
		}
		for _, x := range f.Fixes {
			fmt.Fprintf(&b, "  fix: %s\n", x.Title)
			if x.Cost != "" {
				fmt.Fprintf(&b, "    cost: %s\n", x.Cost)
			}
			for _, c := range x.Changes {
				fmt.Fprintf(&b, "    change: %s on %s (namespace %d, index %d): %q to %q\n", c.Knob, c.On.Name, c.On.NetNS, c.On.Index, c.From, c.To)
			}
			for _, a := range x.Advice {
				fmt.Fprintf(&b, "    advice: %s\n", a)
			}
		}
	}
	return b.String()
}
