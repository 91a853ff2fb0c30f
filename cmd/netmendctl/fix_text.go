//go:build linux

package main

import (
	"fmt"
	"strings"

	"github.com/netmend/netmend/pkg/report"
)

// mendPage writes plans and results for people.
type mendPage struct {
	style report.Style
	strings.Builder
}

// linef writes one line. Arguments come from the node, so they are made printable.
func (p *mendPage) linef(format string, args ...any) {
	for i, a := range args {
		if text, ok := a.(string); ok {
			args[i] = report.Printable(text)
		}
	}
	fmt.Fprintf(p, format+"\n", args...)
}

func (p *mendPage) paint(sgr, text string) string {
	if !p.style.Colour {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// plan shows what would be done: object, knob, from, to, cost, undo.
func (p mendPage) plan(d *mendDocument) string {
	changes := 0
	for i, f := range d.Plan {
		p.linef("%d. %s on %s", i+1, f.Check, f.Where)
		p.linef("   %s", f.Message)
		for _, c := range f.Changes {
			changes++
			p.WriteString("   " + p.paint("1;33", "~") + " " + changeLine(c, c.From, c.To) + "\n")
		}
		p.linef("   fix   %s", f.Title)
		for _, c := range f.Commands {
			p.linef("         %s", c)
		}
		if f.Cost != "" {
			p.linef("   cost  %s", f.Cost)
		}
		for _, c := range f.Undo {
			p.linef("   undo  %s", c)
		}
		for _, w := range f.Warnings {
			p.WriteString("   " + p.paint("1;33", "boot") + "  " + report.Printable(w) + "\n")
		}
		p.linef("")
	}
	if len(d.NotPlanned) > 0 {
		p.linef("Not planned:")
		for _, o := range d.NotPlanned {
			p.linef(" - %s on %s: %s", o.Check, o.Where, o.Why)
		}
		p.linef("")
	}
	if len(d.Plan) == 0 {
		p.linef("Nothing to mend that netmend may mend.")
		return p.String()
	}
	p.linef("Plan: %s, %s. netmendctl undo takes each back.", count(len(d.Plan), "fix", "fixes"), count(changes, "change", "changes"))
	return p.String()
}

// results says what was done, and what proves it.
func (p mendPage) results(d *mendDocument) string {
	for _, w := range d.Warnings {
		p.linef("%s", w)
	}
	if len(d.Results) > 0 {
		p.linef("")
	}
	for _, r := range d.Results {
		head := fmt.Sprintf("%s on %s", r.Check, r.Where)
		if r.ID > 0 {
			head = fmt.Sprintf("%d: %s", r.ID, head)
		}
		switch {
		case r.Error != "":
			p.WriteString(p.paint("1;31", "failed") + "  " + report.Printable(head+": "+r.Error) + "\n")
		case !r.Proved:
			p.WriteString(p.paint("1;33", "set") + "     " + report.Printable(head+", but it is not mended: "+r.Still) + "\n")
		case r.Still != "":
			p.WriteString(p.paint("1;32", "mended") + "  " + report.Printable(head+"; left: "+r.Still) + "\n")
		default:
			p.WriteString(p.paint("1;32", "mended") + "  " + report.Printable(head+": read back, and the check finds nothing any more") + "\n")
		}
		for _, w := range r.Warnings {
			p.linef("        %s", w)
		}
	}
	return p.String()
}

// count is "1 fix" or "2 fixes".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
