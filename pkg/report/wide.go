package report

import (
	"io"
	"strings"
)

// writeWide writes a table with a heading and a line for each finding. Nothing is cut, so that it can be searched.
func writeWide(w io.Writer, d *Document, style Style) error {
	rows := [][]string{{"SEVERITY", "CHECK", "OBJECT", "FIX", "MESSAGE"}}
	for _, f := range d.Findings {
		rows = append(rows, []string{f.Severity.String(), Printable(f.Check), Printable(f.Where), remedy(f), Printable(f.Message)})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	p := &page{Style: style}
	for n, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-width(cell))
			switch {
			case n == 0:
				cell = p.dim(cell)
			case i == 0:
				cell = p.severity(d.Findings[n-1].Severity, cell)
			}
			cells[i] = cell + pad
		}
		p.linef("%s", strings.Join(cells, "  "))
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// remedy says in a word what mends a finding: auto, fix, advice or none.
func remedy(f Finding) string {
	word := "none"
	for _, x := range f.Fixes {
		switch {
		case x.Auto:
			return "auto"
		case len(x.Changes) > 0:
			word = "fix"
		case word == "none":
			word = "advice"
		}
	}
	return word
}
