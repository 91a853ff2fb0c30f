package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

// blame finds the condition that an error of a fix, or its absence, says something about.
func (l *loop) blame(err error, now time.Time) {
	var path *fs.PathError
	switch {
	case err == nil:
		l.conditions.set(now, status.Journal, "")
		l.conditions.set(now, status.KernelWritten, "")
	case errors.As(err, &path) && strings.HasPrefix(path.Path, l.dir):
		l.conditions.set(now, status.Journal, fmt.Sprintf("fixes cannot be written down, so none is made: %v", err))
		l.journalAgain = now.Add(afterFailed)
	case errors.Is(err, unix.EROFS), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		l.conditions.set(now, status.KernelWritten, fmt.Sprintf("what is found cannot be mended: %v", err))
	}
}

// session opens the journal, looks at the fixes in force, and works. Another process may have it: then the loop comes back soon.
func (l *loop) session(ctx context.Context, wait time.Duration, work func(*repair.Mender)) {
	now := l.clock()
	m, err := repair.Open(ctx, repair.Options{
		Kernel: l.node.Kernel(), Dir: l.dir, Wait: wait, Who: "netmendd", Boot: repair.BootDir(l.root), Anew: true, Earlier: l.earlier,
		Suspects: func(c fix.Change) string {
			if l.mind.now == nil {
				return ""
			}
			return audit.Suspects(l.mind.now, c)
		},
	})
	l.earlier = nil
	if err != nil {
		l.journalFailed(err, now)
		return
	}
	l.busy, l.journalAgain, l.lookDue = time.Time{}, time.Time{}, false
	if l.conditions.all[status.Journal].Message != "" && l.journalOpen {
		l.conditions.set(now, status.Journal, "")
	}
	l.journalOpen = true
	l.ended(m.Settled())
	for _, w := range m.Warnings() {
		l.log.Warn("journal", "warning", w)
	}
	ended, err := m.Look(ctx)
	if err != nil {
		l.log.Warn("look at earlier fixes", "error", err)
	}
	l.ended(ended)
	work(m)
	l.entries = m.Entries()
	if err := m.Close(); err != nil {
		l.log.Warn("close journal", "error", err)
		return
	}
	l.earlier = m
}

// journalFailed says why the journal could not be opened.
func (l *loop) journalFailed(err error, now time.Time) {
	if !errors.Is(err, repair.ErrBusy) {
		l.conditions.set(now, status.Journal, fmt.Sprintf("fixes cannot be written down, so none is made: %v", err))
		l.journalAgain = now.Add(afterFailed)
		return
	}
	l.journalAgain = now.Add(afterBusy)
	if l.busy.IsZero() {
		l.busy = now
	}
	if now.Sub(l.busy) >= longBusy {
		l.conditions.set(now, status.Journal, fmt.Sprintf("nothing is mended meanwhile: %v", err))
	}
}

// ended tells of fixes that have come to an end.
func (l *loop) ended(entries []repair.Entry) {
	for _, e := range entries {
		result := map[repair.State]string{repair.Undone: serve.FixUndone, repair.Contested: serve.FixContested, repair.Gone: serve.FixGone}[e.State]
		if result == "" {
			continue
		}
		l.changed = true
		l.meter.Fixed(e.Check, result)
		level := l.log.Info
		if e.State != repair.Gone {
			level = l.log.Warn
		}
		level("a fix has ended", "id", e.ID, "check", e.Check, "on", e.On.Name, "state", string(e.State), "reason", e.Reason)
	}
}
