package report

import (
	"fmt"
	"strings"

	"github.com/netmend/netmend/pkg/check"
)

// page collects lines of text and paints parts of them; without colour, painting is the identity.
type page struct {
	strings.Builder
	Style
}

// The few colours of the sixteen that are readable on dark and on light (ECMA-48 SGR).
const (
	sgrBold   = "1"
	sgrDim    = "2"
	sgrRed    = "1;31"
	sgrYellow = "1;33"
	sgrBlue   = "1;34"
	sgrGreen  = "1;32"
	sgrCyan   = "36"
)

func (p *page) paint(sgr, text string) string {
	if !p.Colour || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

func (p *page) bold(text string) string { return p.paint(sgrBold, text) }
func (p *page) dim(text string) string  { return p.paint(sgrDim, text) }

func (p *page) severity(s check.Severity, text string) string {
	switch s {
	case check.Critical:
		return p.paint(sgrRed, text)
	case check.Warning:
		return p.paint(sgrYellow, text)
	}
	return p.paint(sgrBlue, text)
}

func (p *page) linef(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	p.WriteString(strings.TrimRight(line, " "))
	p.WriteByte('\n')
}

// labelled writes a label and its text, wrapped, with the text's further lines under its first.
func (p *page) labelled(indent int, label, text string) {
	const column = 7
	lead := strings.Repeat(" ", indent) + p.dim(label) + strings.Repeat(" ", max(1, column-width(label)))
	for i, line := range wrap(text, p.Width-indent-column) {
		if i > 0 {
			lead = strings.Repeat(" ", indent+column)
		}
		p.linef("%s%s", lead, line)
	}
}

// wrap breaks text at spaces into lines of a number of columns; a longer word stays whole, and so does everything where columns is not positive.
func wrap(text string, columns int) []string {
	if columns <= 0 || width(text) <= columns {
		return []string{text}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) <= columns:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
