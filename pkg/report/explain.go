package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// Markdown is the page of a check as it is.
func Markdown(c *check.Check) string {
	return fmt.Sprintf("# %s\n\n%s. %s\n\n%s", c.Name, c.Title, about(c), c.Markdown())
}

func about(c *check.Check) string {
	if len(c.Needs) == 0 {
		return fmt.Sprintf("Severity up to %s, since %s; judged over all nodes by netmendctl cluster.", c.Severity, c.Since)
	}
	text := fmt.Sprintf("Severity up to %s, since %s; reads %s", c.Severity, c.Since, kinds(c.Needs))
	if len(c.Wants) > 0 {
		text += ", with " + kinds(c.Wants) + " as evidence"
	}
	return text + "."
}

func kinds(list []facts.Kind) string {
	names := make([]string, len(list))
	for i, k := range list {
		names[i] = string(k)
	}
	return strings.Join(names, ", ")
}

// Explain writes the page of a check for a terminal.
func Explain(w io.Writer, c *check.Check, style Style) error {
	p := &page{Style: style}
	p.linef("%s", p.severity(c.Severity, c.Name))
	p.linef("%s", p.bold(c.Title))
	for _, line := range wrap(about(c), p.Width) {
		p.linef("%s", p.dim(line))
	}
	for i, m := range parseMarkup(c.Markdown()) {
		if i == 0 || m.Kind != "li" {
			p.linef("")
		}
		p.markup(m)
	}
	p.linef("")
	p.linef("%s", p.dim(Page(c.Name)))
	_, err := io.WriteString(w, p.String())
	return err
}

func (p *page) markup(m markup) {
	switch m.Kind {
	case "code":
		for _, line := range m.Lines {
			p.linef("    %s", p.paint(sgrCyan, Printable(line)))
		}
	case "h":
		p.linef("%s", p.bold(strings.ToUpper(plain(m.Spans))))
	case "li":
		p.spans("  - ", "    ", m.Spans)
	default:
		p.spans("", "", m.Spans)
	}
}

func plain(spans []span) string {
	var b strings.Builder
	for _, s := range spans {
		b.WriteString(Printable(s.Text))
	}
	return b.String()
}

// spans writes wrapped text of several faces. Words are measured without their paint.
func (p *page) spans(first, next string, spans []span) {
	line, columns, space := first, width(first), false
	flush := func() {
		p.linef("%s", line)
		line, columns, space = next, width(next), false
	}
	for _, s := range spans {
		text := Printable(s.Text)
		if s.URL != "" && s.URL != s.Text {
			text += " (" + Printable(s.URL) + ")"
		}
		for i, word := range strings.Split(text, " ") {
			space = space || i > 0
			if word == "" {
				continue
			}
			if space && columns > width(next) {
				if p.Width > 0 && columns+1+width(word) > p.Width {
					flush()
				} else {
					line, columns = line+" ", columns+1
				}
			}
			line, columns, space = line+p.face(s.Face, word), columns+width(word), false
		}
	}
	flush()
}

func (p *page) face(face, word string) string {
	switch face {
	case "code":
		return p.paint(sgrCyan, word)
	case "bold", "em":
		return p.bold(word)
	}
	return word
}
