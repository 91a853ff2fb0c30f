package report

import (
	"fmt"
	"slices"
	"strings"
)

// skipGroup is the checks that one reason kept from judging all there is.
type skipGroup struct {
	Reason string
	Checks []string // in the order of their names, none twice
	Pods   int      // how many pods it concerns; 0: the node
}

// String is the reason, with the number of pods.
func (g skipGroup) String() string {
	if g.Pods == 0 {
		return g.Reason
	}
	return fmt.Sprintf("%s (in %s)", g.Reason, plural(g.Pods, "pod"))
}

// skipSection is the skips of one extent.
type skipSection struct {
	Title  string
	Groups []skipGroup
}

// skipSections gives what there is, the most serious first.
func skipSections(d *Document) []skipSection {
	var out []skipSection
	for _, s := range []struct {
		title  string
		extent extent
	}{{"not judged", notJudged}, {"judged in part", judgedInPart}, {"not applicable here", notApplicable}} {
		if groups := skipGroups(d.Skipped, s.extent); len(groups) > 0 {
			out = append(out, skipSection{s.title, groups})
		}
	}
	return out
}

// skipGroups gathers skips by their reason, in the order in which the reasons first occur.
func skipGroups(skips []Skip, want extent) []skipGroup {
	var groups []skipGroup
	at, seen := map[string]int{}, map[string]map[uint64]bool{}
	for _, k := range skips {
		if k.extent() != want {
			continue
		}
		i, ok := at[k.Reason]
		if !ok {
			i = len(groups)
			at[k.Reason] = i
			groups = append(groups, skipGroup{Reason: strings.TrimPrefix(k.Reason, notApplicableStart)})
		}
		groups[i].Checks = append(groups[i].Checks, k.Check)
		if k.On != nil {
			if seen[k.Reason] == nil {
				seen[k.Reason] = map[uint64]bool{}
			}
			seen[k.Reason][k.On.NetNS] = true
			groups[i].Pods = len(seen[k.Reason])
		}
	}
	for i := range groups {
		slices.Sort(groups[i].Checks)
		groups[i].Checks = slices.Compact(groups[i].Checks)
	}
	return groups
}

// skipped writes what was not judged, or not with all evidence.
func (p *page) skipped(d *Document) {
	for _, section := range skipSections(d) {
		p.linef("")
		p.linef("%s", p.bold(strings.ToUpper(section.Title)))
		for _, g := range section.Groups {
			for i, line := range wrap(Printable(strings.Join(g.Checks, ", ")+": "+g.String()), p.Width-4) {
				p.linef("  %s%s", strings.Repeat(" ", 2*min(i, 1)), line)
			}
		}
	}
}

func (p *page) summary(d *Document) {
	p.linef("")
	text, s := summaryText(d.Summary), d.Summary
	switch {
	case s.Critical > 0:
		text = p.paint(sgrRed, text)
	case s.Warning > 0:
		text = p.paint(sgrYellow, text)
	case s.Info > 0:
		text = p.paint(sgrBlue, text)
	default:
		text = p.paint(sgrGreen, text)
	}
	p.linef("%s%s", text, p.dim(summaryRest(s)))
}

// summaryText counts the findings.
func summaryText(s Summary) string {
	var parts []string
	if s.Critical > 0 {
		parts = append(parts, fmt.Sprintf("%d critical", s.Critical))
	}
	if s.Warning > 0 {
		parts = append(parts, plural(s.Warning, "warning"))
	}
	if s.Info > 0 {
		parts = append(parts, fmt.Sprintf("%d info", s.Info))
	}
	if len(parts) == 0 {
		return "nothing found"
	}
	return strings.Join(parts, ", ")
}

// summaryRest counts the checks that found nothing, could not look, or looked in part.
func summaryRest(s Summary) string {
	text := fmt.Sprintf(" · %s passed", plural(s.Passed, "check"))
	for _, part := range []struct {
		n    int
		what string
	}{{s.Skipped - s.NotApplicable, "not judged"}, {s.Partial, "judged in part"}, {s.NotApplicable, "not applicable"}} {
		if part.n > 0 {
			text += fmt.Sprintf(" · %d %s", part.n, part.what)
		}
	}
	return text
}
