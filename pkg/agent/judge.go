package agent

import (
	"fmt"
	"runtime/debug"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// judge lets the dirty checks that want says judge what is known, and gives their names.
func (l *loop) judge(want func(*check.Check) bool) (judged map[string]bool) {
	judged = map[string]bool{}
	for _, c := range l.mind.checks {
		if !l.mind.dirty[c.Name] || !want(c) {
			continue
		}
		part, panicked := safely(l.mind.now, c)
		if panicked != "" {
			l.log.Error("a check panicked", "check", c.Name, "panic", panicked)
			l.broken[c.Name] = true
		} else {
			delete(l.broken, c.Name)
		}
		l.mind.parts[c.Name] = part
		delete(l.mind.dirty, c.Name)
		judged[c.Name] = true
	}
	return judged
}

func all(*check.Check) bool { return true }

// safely runs one check. One that panics has judged nothing; the others go on.
func safely(s *facts.Snapshot, c *check.Check) (part *check.Report, panicked string) {
	defer func() {
		if r := recover(); r != nil {
			panicked = fmt.Sprintf("%v\n%s", r, debug.Stack())
			part = &check.Report{Skipped: []check.Skip{{Check: c.Name, Reason: fmt.Sprintf("the check itself has failed, which is a fault of netmend: %v", r)}}}
		}
	}()
	return audit.JudgeOne(s, c), ""
}
