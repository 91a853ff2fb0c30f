package fix_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/fix"
)

// FuzzParseRule: a knob from a journal or a snapshot of a stranger is refused, or gives arguments in which nothing is an option or a second command.
func FuzzParseRule(f *testing.F) {
	for _, k := range []string{"rule:mss-clamp", "rule:tunnel-accept:8472", "rule:forward-accept:10.0.0.0/8", "rule:forward-accept:fd00::/64", "rule:tunnel-accept:1;x", "rule:forward-accept:fe80::%eth0/64"} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, knob string) {
		r, err := fix.ParseRule(fix.Knob(knob))
		if err != nil {
			return
		}
		for _, rule := range r.Rules {
			if slices.ContainsFunc(rule.Args, func(a string) bool { return strings.ContainsAny(a, " ;|&$'\"\n\\") }) {
				t.Errorf("ParseRule(%q) gives the arguments %q", knob, rule.Args)
			}
		}
		if strings.Count(r.OwnText, ";") > 2 {
			t.Errorf("ParseRule(%q) gives the rule %q", knob, r.OwnText)
		}
	})
}
