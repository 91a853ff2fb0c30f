package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/check"
)

// inFull is how many findings of one check are written in full; of a fault that every pod of a node has, the others take one line each.
const inFull = 5

func writeText(w io.Writer, d *Document, style Style) error {
	p := &page{Style: style}
	p.head(d)
	for _, s := range []check.Severity{check.Critical, check.Warning, check.Info} {
		p.group(d, s)
	}
	p.skipped(d)
	p.summary(d)
	_, err := io.WriteString(w, p.String())
	return err
}

// head is the node line, and a second one for the moment.
func (p *page) head(d *Document) {
	about := nodeParts(d.Node)
	p.linef("%s", strings.Join(append([]string{p.bold(about[0])}, about[1:]...), p.dim(" · ")))
	p.linef("%s", p.dim(strings.Join(momentParts(d), " · ")))
	if d.Note != "" {
		for _, line := range wrap(Printable(d.Note), p.Width) {
			p.linef("%s", line)
		}
	}
}

// nodeParts is what there is to say about the node, its name first.
func nodeParts(n Node) []string {
	parts := []string{cmp.Or(n.Name, "unnamed node")}
	if n.Distribution != "" {
		parts = append(parts, n.Distribution)
	}
	if n.Kernel != "" {
		parts = append(parts, "kernel "+n.Kernel)
	}
	if n.CNI != "" {
		parts = append(parts, "CNI "+n.CNI)
	}
	if n.ProxyMode != "" {
		parts = append(parts, "kube-proxy "+n.ProxyMode)
	}
	parts = append(parts, plural(n.Pods, "pod"))
	for i := range parts {
		parts[i] = Printable(parts[i])
	}
	return parts
}

func momentParts(d *Document) []string {
	parts := []string{"at an unknown time"}
	if !d.Taken.IsZero() {
		parts[0] = d.Taken.UTC().Format("2006-01-02 15:04:05 UTC")
	}
	if d.Window > 0 {
		seconds := "less than 0.1"
		if rounded := math.Round(d.Window*10) / 10; rounded > 0 {
			seconds = strconv.FormatFloat(rounded, 'f', -1, 64)
		}
		parts = append(parts, "counters over "+seconds+" s")
	} else {
		parts = append(parts, "one sample")
	}
	if !d.Node.Privileged {
		parts = append(parts, "read without root")
	}
	return parts
}

func (p *page) group(d *Document, s check.Severity) {
	findings := ofSeverity(d, s)
	if len(findings) == 0 {
		return
	}
	p.linef("")
	p.linef("%s", p.severity(s, fmt.Sprintf("%s (%d)", strings.ToUpper(s.String()), len(findings))))
	for len(findings) > 0 {
		same := 1
		for same < len(findings) && findings[same].Check == findings[0].Check {
			same++
		}
		p.findings(findings[:same])
		findings = findings[same:]
	}
}

// findings writes those of one check.
func (p *page) findings(same []*Finding) {
	for i, f := range same {
		if i == inFull && len(same) > inFull+1 {
			p.more(same[i:])
			return
		}
		p.linef("")
		p.finding(f)
	}
}

func (p *page) more(rest []*Finding) {
	p.linef("")
	p.linef("  %s", p.dim(fmt.Sprintf("and %d more of %s (-o json has all in full):", len(rest), rest[0].Check)))
	for _, f := range rest {
		p.linef("  %s %s", p.bold(Printable(f.Where)), Printable(f.Message))
	}
}

func (p *page) finding(f *Finding) {
	p.linef("  %s%s%s", p.severity(f.Severity, Printable(f.Check)), p.dim(" · "), p.bold(Printable(f.Where)))
	for _, line := range wrap(Printable(f.Message), p.Width-4) {
		p.linef("    %s", line)
	}
	label := "proof"
	for _, e := range f.Evidence {
		text := Printable(e.Fact) + ": " + Printable(e.Got)
		if e.Want != "" {
			text += ", want " + Printable(e.Want)
		}
		p.labelled(4, label, text)
		label = ""
	}
	for i := range f.Fixes {
		p.fix(f, i)
	}
	p.labelled(4, "page", p.dim(Printable(f.URL)))
}

func (p *page) fix(f *Finding, i int) {
	x, label := f.Fixes[i], "fix"
	if i > 0 {
		label = "or"
	}
	title := Printable(x.Title)
	if how := f.How(i); how != "" {
		title += " (" + how + ")"
	}
	p.labelled(4, label, title)
	for _, command := range x.Commands {
		p.linef("             %s", p.paint(sgrCyan, Printable(command)))
	}
	if x.Cost != "" {
		p.labelled(4, "", "costs: "+Printable(x.Cost))
	}
}

func ofSeverity(d *Document, s check.Severity) []*Finding {
	var out []*Finding
	for i := range d.Findings {
		if d.Findings[i].Severity == s {
			out = append(out, &d.Findings[i])
		}
	}
	return out
}
