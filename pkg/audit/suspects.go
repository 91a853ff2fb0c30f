package audit

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// Settings are the lines of files that set a change's sysctl at boot.
func Settings(s *facts.Snapshot, c fix.Change) (found []facts.SysctlSetting) {
	family, key := c.Knob.Split()
	if family != fix.FamilySysctl {
		return nil
	}
	for _, set := range s.SysctlFiles {
		if ok, err := path.Match(set.Key, key); err == nil && ok {
			found = append(found, set)
		}
	}
	return found
}

// Suspects says what is known of who may set a change's value back; empty where nothing is.
func Suspects(s *facts.Snapshot, c fix.Change) string {
	var known []string
	for _, set := range Settings(s, c) {
		if !fix.SameValue(c.Knob, set.Value, c.To) {
			known = append(known, fmt.Sprintf("%s:%d sets it to %q", set.File, set.Line, set.Value))
		}
	}
	var agents []string
	for _, a := range s.Agents {
		if !slices.Contains(agents, a.Name) {
			agents = append(agents, a.Name)
		}
	}
	if len(agents) > 0 {
		known = append(known, "running here: "+strings.Join(agents, ", "))
	}
	return strings.Join(known, "; ")
}
