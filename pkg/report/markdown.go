package report

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/check"
)

// writeMarkdown writes GitHub's Markdown, for pasting.
func writeMarkdown(w io.Writer, d *Document, _ Style) error {
	var b strings.Builder
	parts := nodeParts(d.Node)
	fmt.Fprintf(&b, "## netmend: %s\n\n", mdText(summaryText(d.Summary)+" on "+parts[0]))
	fmt.Fprintf(&b, "%s  \n%s\n", mdText(strings.Join(parts[1:], " · ")), mdText(strings.Join(momentParts(d), " · ")))
	if d.Note != "" {
		fmt.Fprintf(&b, "\n%s\n", mdText(d.Note))
	}
	for _, s := range []check.Severity{check.Critical, check.Warning, check.Info} {
		findings := ofSeverity(d, s)
		if len(findings) > 0 {
			fmt.Fprintf(&b, "\n### %s\n", capital(s.String()))
		}
		for _, f := range findings {
			mdFinding(&b, f)
		}
	}
	for _, section := range skipSections(d) {
		mdSkips(&b, section)
	}
	fmt.Fprintf(&b, "\n%s\n", mdText(summaryText(d.Summary)+summaryRest(d.Summary)))
	_, err := io.WriteString(w, b.String())
	return err
}

func mdFinding(b *strings.Builder, f *Finding) {
	fmt.Fprintf(b, "\n#### [%s](%s) on %s\n\n%s\n", mdText(f.Check), f.URL, mdCode(f.Where), mdText(f.Message))
	if len(f.Evidence) > 0 {
		b.WriteByte('\n')
	}
	for _, e := range f.Evidence {
		fmt.Fprintf(b, "- %s: %s", mdText(e.Fact), mdCode(e.Got))
		if e.Want != "" {
			fmt.Fprintf(b, ", want %s", mdCode(e.Want))
		}
		b.WriteByte('\n')
	}
	for i, x := range f.Fixes {
		label := "Fix"
		if i > 0 {
			label = "Or"
		}
		title := mdText(x.Title)
		if how := f.How(i); how != "" {
			title += " (" + mdText(how) + ")"
		}
		fmt.Fprintf(b, "\n**%s:** %s", label, title)
		if x.Cost != "" {
			fmt.Fprintf(b, "  \n*Costs:* %s", mdText(x.Cost))
		}
		b.WriteString("\n\n")
		mdBlock(b, x.Commands)
	}
}

func mdSkips(b *strings.Builder, section skipSection) {
	fmt.Fprintf(b, "\n### %s\n\n", capital(section.Title))
	for _, g := range section.Groups {
		names := make([]string, len(g.Checks))
		for i, c := range g.Checks {
			names[i] = mdCode(c)
		}
		fmt.Fprintf(b, "- %s: %s\n", strings.Join(names, ", "), mdText(g.String()))
	}
}

// capital writes the first letter of an ASCII title large.
func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// mdText makes text that means nothing in Markdown: what could start markup or HTML is escaped, an address does not become a link, and an @ is
// code, because GitHub notifies whoever is named behind one.
func mdText(s string) string {
	s = strings.TrimSpace(Printable(s))
	s = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", `\<`, ">", `\>`, "|", `\|`, "~", `\~`,
		"&", `\&`, "#", `\#`, "$", `\$`, "!", `\!`, "://", `\://`, "www.", `www\.`, "@", "`@`").Replace(s)
	if mdLine.MatchString(s) {
		return "&#" + strconv.Itoa(int(s[0])) + ";" + s[1:]
	}
	return s
}

// mdLine matches what means something at the start of a line: a list, a numbered list, the line below a heading, a rule.
var mdLine = regexp.MustCompile(`^(?:[-+]( |$)|\d+[.)]( |$)|=+$|--+$)`)

// mdCode makes a code span, fenced by more backquotes than the text has in a row (CommonMark 6.1).
func mdCode(s string) string {
	s = Printable(s)
	fence := strings.Repeat("`", longestRun(s)+1)
	if s == "" || strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

func mdBlock(b *strings.Builder, lines []string) {
	if len(lines) == 0 {
		return
	}
	fence := strings.Repeat("`", max(3, longestRun(strings.Join(lines, " "))+1))
	fmt.Fprintf(b, "%ssh\n", fence)
	for _, line := range lines {
		fmt.Fprintf(b, "%s\n", Printable(line))
	}
	fmt.Fprintf(b, "%s\n", fence)
}

// longestRun is the length of the longest row of backquotes.
func longestRun(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
