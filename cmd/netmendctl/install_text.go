//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/cniconf"
	"github.com/netmend/netmend/pkg/report"
)

// chainText writes what was done to the chain for people.
func chainText(d *chainDocument, style report.Style) string {
	p := mendPage{style: style}
	would := ""
	if d.DryRun {
		would = "would "
	}
	for _, s := range d.Steps {
		switch s.Op {
		case cniconf.Copy, cniconf.Rename:
			p.linef("%s%s %s to %s", would, string(s.Op), s.Path, s.To)
		default:
			p.linef("%s%s %s", would, string(s.Op), s.Path)
		}
		for line := range strings.Lines(s.Diff) {
			line = report.Printable(strings.TrimRight(line, "\r\n"))
			switch line[:min(1, len(line))] {
			case "+":
				line = p.paint("32", line)
			case "-":
				line = p.paint("31", line)
			}
			p.WriteString("    " + line + "\n")
		}
	}
	for _, w := range d.Warnings {
		p.linef("warning: %s", w)
	}
	if d.Kept != "" {
		p.linef("The program stays: %s.", d.Kept)
	}
	switch {
	case len(d.Chain) > 0 && slices.Contains(d.Chain, "netmend"):
		p.linef("Chain of %s (network %s): %s", d.File, d.Network, strings.Join(d.Chain, ", "))
	case d.Kind == "UninstallReport" && len(d.Steps) == 0 && d.Kept == "":
		p.linef("The plugin is in no chain, and its program is not here.")
	}
	return p.String()
}

// diffContext is how many lines are shown around a change.
const diffContext = 3

// diff shows how a file changes, as diff -u does. netmend changes one place of a file, so all between the first and the last line that differ is one change.
func diff(path string, before, after []byte) string {
	from, to := splitLines(before), splitLines(after)
	head := 0
	for head < min(len(from), len(to)) && from[head] == to[head] {
		head++
	}
	tail := 0
	for tail < min(len(from), len(to))-head && from[len(from)-1-tail] == to[len(to)-1-tail] {
		tail++
	}
	if head == len(from) && head == len(to) {
		return ""
	}
	start, more := max(0, head-diffContext), min(tail, diffContext)
	var b strings.Builder
	old := path
	if before == nil {
		old = "/dev/null"
	}
	fmt.Fprintf(&b, "--- %s\n+++ %s\n@@ -%s +%s @@\n", old, path, hunk(start, len(from)-tail+more-start), hunk(start, len(to)-tail+more-start))
	write := func(mark string, lines []string) {
		for _, line := range lines {
			b.WriteString(mark + strings.TrimSuffix(line, "\n") + "\n")
			if !strings.HasSuffix(line, "\n") {
				b.WriteString("\\ No newline at end of file\n")
			}
		}
	}
	write(" ", from[start:head])
	write("-", from[head:len(from)-tail])
	write("+", to[head:len(to)-tail])
	write(" ", from[len(from)-tail:len(from)-tail+more])
	return b.String()
}

// hunk is where lines are: the number of the first, and how many. Of no lines it is the one before.
func hunk(start, n int) string {
	if n > 0 {
		start++
	}
	return fmt.Sprintf("%d,%d", start, n)
}

func splitLines(data []byte) []string { return slices.Collect(strings.Lines(string(data))) }
