package repair

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/netmend/netmend/pkg/fix"
)

// BootFiles are the files by which values outlive a boot.
type BootFiles interface {
	// Write makes the files hold these lines of netmend's, and no others of netmend's. Lines of others stay.
	Write(lines []BootLine) error
}

// BootLine is one line of one of the files.
type BootLine struct {
	File BootFile
	Fix  int // that needs it
	Text string
}

// BootFile says which file.
type BootFile int

// The files.
const (
	SysctlFile BootFile = iota // sysctl.d(5)
	ModuleFile                 // modules-load.d(5)
	UdevFile                   // udev(7)
)

// lasting says whether a file can keep the change's value over a boot.
func lasting(c fix.Change) bool {
	family, _ := c.Knob.Split()
	return family == fix.FamilySysctl || family == fix.FamilyModule || family == fix.FamilyEthtool && plainDevice.MatchString(c.On.Name)
}

// follows says whether the value belongs to a device, which may be made anew at any time, and udev sets it again.
func follows(c fix.Change) bool {
	family, _ := c.Knob.Split()
	return family == fix.FamilyEthtool
}

// plainDevice is a name that has no meaning of its own in a udev rule or in the command that it runs.
var plainDevice = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// needed is the modules without which a sysctl does not exist when the boot sets it (sysctl.d(5)).
func needed(sysctl string) string {
	for prefix, module := range map[string]string{"net/bridge/": "br_netfilter", "net/netfilter/nf_conntrack": "nf_conntrack", "net/ipv4/vs/": "ip_vs"} {
		if strings.HasPrefix(sysctl, prefix) {
			return module
		}
	}
	return ""
}

// lines are those that the step needs.
func (s Step) lines(id int) []BootLine {
	family, arg := s.Change.Knob.Split()
	switch {
	case !s.Persist:
		return nil
	case family == fix.FamilyModule:
		return []BootLine{{ModuleFile, id, arg}}
	case family == fix.FamilyEthtool:
		name := s.Change.On.Name
		return []BootLine{{UdevFile, id, fmt.Sprintf(
			`SUBSYSTEM=="net", ACTION=="add|change|move", ENV{INTERFACE}=="%s", RUN+="/bin/sh -c 'exec ethtool -K %s %s %s'"`, name, name, arg, s.Change.To)}}
	}
	lines := []BootLine{{SysctlFile, id, arg + " = " + s.Change.To}}
	if module := needed(arg); module != "" {
		lines = append(lines, BootLine{ModuleFile, id, module})
	}
	return lines
}

// writeBoot makes the files say what the fixes in force need. One fix may be counted in or out whatever its state.
func (m *Mender) writeBoot(id int, in bool) error {
	if m.o.Boot == nil {
		return nil
	}
	var lines []BootLine
	for _, e := range m.journal.entries {
		wanted := e.State == Applied || e.State == Verified
		if e.ID == id {
			wanted = in
		}
		if !wanted {
			continue
		}
		for _, s := range e.Steps {
			lines = append(lines, s.lines(e.ID)...)
		}
	}
	return m.o.Boot.Write(lines)
}
