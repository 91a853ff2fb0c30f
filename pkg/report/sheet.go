package report

import "github.com/netmend/netmend/pkg/check"

// Sheet writes text for people as the reports are laid out: labels in a column of their own, colours where the style has them. What it is given is made
// printable, because names and addresses may come from a stranger.
type Sheet struct{ page page }

// NewSheet is an empty sheet.
func NewSheet(s Style) *Sheet { return &Sheet{page{Style: s}} }

// String is what was written.
func (p *Sheet) String() string { return p.page.String() }

// Line writes a line.
func (p *Sheet) Line(text string) { p.page.linef("%s", Printable(text)) }

// Bold writes a line that stands out.
func (p *Sheet) Bold(text string) { p.page.linef("%s", p.page.bold(Printable(text))) }

// Label writes a label and its text below a bold line; an empty label goes on with the one before.
func (p *Sheet) Label(label, text string) { p.page.entry(label, Printable(text)) }

// Warn is Label for what is wrong.
func (p *Sheet) Warn(label, text string) {
	p.page.entry(label, p.page.severity(check.Warning, Printable(text)))
}

// entry is labelled with room for longer labels. A painted text is not wrapped: its escapes have no width that wrap knows.
func (p *page) entry(label, text string) {
	const indent, column = 2, 9
	lead := "  " + p.dim(label)
	for range column - width(label) {
		lead += " "
	}
	columns := p.Width - indent - column
	if p.Colour {
		columns = 0
	}
	for i, line := range wrap(text, columns) {
		if i > 0 {
			lead = "           "
		}
		p.linef("%s%s", lead, line)
	}
}
