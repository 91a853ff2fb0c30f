package report

import (
	"io"
)

// npdBytes is how much of its message node-problem-detector keeps (max_output_length of a custom plugin's configuration, its default).
const npdBytes = 80

// OneLine makes node-problem-detector's message of any text: one printable line of at most 80 bytes, its line end included.
func OneLine(text string) string { return cut(Printable(text), npdBytes-1) + "\n" }

// writeNPD writes the counts, then as much of the worst finding as there is room for.
func writeNPD(w io.Writer, d *Document, _ Style) error {
	text := summaryText(d.Summary)
	if len(d.Findings) > 0 {
		f := d.Findings[0]
		text += ": " + f.Check + " " + f.Where + ": " + f.Message
	} else {
		text += summaryRest(d.Summary)
	}
	_, err := io.WriteString(w, OneLine(text))
	return err
}
