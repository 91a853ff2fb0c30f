//go:build linux

package main

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/status"
)

// statusPage writes the daemon's status for people.
type statusPage struct {
	mendPage
	now time.Time
	d   *status.Document
}

// The colours of package report.
const (
	bold   = "1"
	dim    = "2"
	red    = "1;31"
	yellow = "1;33"
	blue   = "1;34"
	green  = "1;32"
)

func (p *statusPage) text() string {
	p.head()
	for _, s := range []check.Severity{check.Critical, check.Warning, check.Info} {
		p.findings(strings.ToUpper(s.String()), severityColour(s), func(f *status.Finding) bool { return f.Severity == s && !f.Ignored })
	}
	p.findings("IGNORED", dim, func(f *status.Finding) bool { return f.Ignored })
	if p.d.Omitted > 0 {
		p.linef("%d more findings are not shown: netmendctl audit", p.d.Omitted)
		p.linef("")
	}
	p.fixes()
	p.resolved()
	p.reports()
	p.chain()
	p.lacks()
	return p.String()
}

func severityColour(s check.Severity) string {
	switch s {
	case check.Critical:
		return red
	case check.Warning:
		return yellow
	}
	return blue
}

// head is what everybody wants to know first.
func (p *statusPage) head() {
	d := p.d
	colour := map[status.State]string{status.Proven: green, status.Faulty: red}[d.State]
	parts := []string{p.paint(bold, report.Printable(cmp.Or(d.Node, "unnamed node"))), p.paint(cmp.Or(colour, yellow), report.Printable(string(d.State))), "mode " + report.Printable(d.Mode)}
	if d.Versions.Kernel != "" {
		parts = append(parts, "kernel "+report.Printable(d.Versions.Kernel))
	}
	parts = append(parts, "netmend "+report.Printable(d.Versions.Netmend))
	p.WriteString(strings.Join(parts, p.paint(dim, " · ")) + "\n")
	if a := d.Audit; a.Total > 0 {
		line := fmt.Sprintf("last look %s (%s), everything read %s, %s since the start %s", p.ago(a.At), a.Cause, p.ago(a.Full),
			count(int(min(a.Total, 1<<31)), "look", "looks"), p.ago(d.Started))
		p.WriteString(p.paint(dim, report.Printable(line)) + "\n")
	}
	p.linef("")
}

// findings writes a group of them.
func (p *statusPage) findings(title, colour string, of func(*status.Finding) bool) {
	var group []*status.Finding
	for i := range p.d.Findings {
		if of(&p.d.Findings[i]) {
			group = append(group, &p.d.Findings[i])
		}
	}
	if len(group) == 0 {
		return
	}
	p.WriteString(p.paint(colour, fmt.Sprintf("%s (%d)", title, len(group))) + "\n\n")
	for _, f := range group {
		p.WriteString("  " + p.paint(bold, report.Printable(f.Check)) + " · " + report.Printable(f.Where) + "\n")
		p.linef("    %s", f.Message)
		p.linef("    since  %s", p.ago(f.FirstSeen))
		if f.Plan != "" {
			p.linef("    plan   %s", f.Plan)
		}
		for i, c := range f.Commands {
			p.linef("    %s  %s", []string{"mends", "     "}[min(i, 1)], c)
		}
		p.linef("")
	}
}

func (p *statusPage) fixes() {
	if len(p.d.Fixes) == 0 {
		return
	}
	p.WriteString(p.paint(bold, "Fixes") + "\n")
	for _, f := range p.d.Fixes {
		id := "  -"
		if f.ID > 0 {
			id = fmt.Sprintf("%3d", f.ID)
		}
		p.linef("  %s  %s  %s on %s: %s, %s", id, f.State, f.Check, where(f.On), f.Title, p.ago(f.At))
		if f.Reason != "" {
			p.linef("       %s", f.Reason)
		}
	}
	p.linef("")
}

// shownResolved bounds what is told of the past.
const shownResolved = 5

func (p *statusPage) resolved() {
	if len(p.d.Resolved) == 0 {
		return
	}
	p.WriteString(p.paint(bold, "Resolved lately") + "\n")
	for i, f := range p.d.Resolved {
		if i == shownResolved {
			p.linef("  and %d more", len(p.d.Resolved)-i)
			break
		}
		by := ""
		if f.By != "" {
			by = ", by " + f.By
		}
		p.linef("  %s on %s: %s%s; it had lasted %s", f.Check, f.Where, p.ago(f.Resolved), by, span(f.Resolved.Sub(f.FirstSeen)))
	}
	p.linef("")
}

func (p *statusPage) reports() {
	if len(p.d.Reports) == 0 {
		return
	}
	p.WriteString(p.paint(bold, "What the plugin has told lately") + "\n")
	for i, r := range p.d.Reports {
		if i == shownResolved {
			p.linef("  and %d more", len(p.d.Reports)-i)
			break
		}
		p.linef("  %s  %s of %s, %s", r.Verdict, r.Command, cmp.Or(r.Pod, r.NetNS, "a pod"), p.ago(r.At))
		for _, f := range r.Findings {
			p.linef("    %s on %s: %s", f.Check, f.On, f.Message)
		}
		if len(r.Findings) == 0 && r.Message != "" {
			p.linef("    %s", r.Message)
		}
	}
	p.linef("")
}

func (p *statusPage) chain() {
	c := p.d.Chain
	name := "Chain"
	if c.File != "" {
		name = fmt.Sprintf("Chain of %s (network %s)", c.File, c.Network)
	}
	plugins := strings.Join(c.Plugins, ", ")
	switch {
	case c.In && c.Kept:
		p.linef("%s: %s", name, plugins)
	case c.In:
		p.linef("%s: %s; nobody keeps the plugin there", name, plugins)
	case c.File != "":
		p.linef("%s: %s; the plugin is not in it", name, plugins)
	default:
		p.linef("%s: no configuration that the container runtime could use", name)
	}
	for _, why := range []string{c.Waiting, c.Rival, c.Error} {
		if why != "" {
			p.linef("  %s", why)
		}
	}
}

// lacks is what could not be judged, and what the daemon goes on without.
func (p *statusPage) lacks() {
	skipped := 0
	for _, s := range p.d.Skipped {
		if !strings.HasPrefix(s.Reason, "not applicable: ") {
			skipped++
		}
	}
	if skipped > 0 {
		p.linef("")
		p.WriteString(p.paint(bold, "Not judged, or not in whole") + "\n")
		for _, s := range p.d.Skipped {
			if !strings.HasPrefix(s.Reason, "not applicable: ") {
				// How netmendctl audit gets a window does not help here: the daemon takes one by itself.
				p.linef("  %s: %s", cmp.Or(s.Check, "node"), strings.TrimSuffix(s.Reason, " (--window 60s)"))
			}
		}
	}
	first := true
	for _, c := range p.d.Conditions {
		if c.OK {
			continue
		}
		if first {
			p.linef("")
			p.WriteString(p.paint(yellow, "The daemon goes on without") + "\n")
			first = false
		}
		p.linef("  %s: %s, %s", c.Name, c.Message, p.ago(c.Since))
	}
}

// ago says how long something is past.
func (p *statusPage) ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return span(p.now.Sub(t)) + " ago"
}

// span is a duration in its largest unit.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return "less than a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
