package checks

import (
	"fmt"
	"path"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// setAtBoot is the evidence of the files that set a sysctl to another value than it should have.
func setAtBoot(s *facts.Snapshot, key, want string) []check.Evidence {
	var out []check.Evidence
	for _, set := range s.SysctlFiles {
		match, err := path.Match(set.Key, key)
		if (set.Key == key || err == nil && match) && set.Value != want {
			out = append(out, check.Evidence{Fact: fmt.Sprintf("%s line %d", set.File, set.Line), Got: "sets it to " + set.Value + " at boot"})
		}
	}
	return out
}

// dotted is a sysctl's name as sysctl(8) writes it. A device name with a dot stays readable, but is not what sysctl(8) would take.
func dotted(key string) string { return strings.ReplaceAll(key, "/", ".") }
