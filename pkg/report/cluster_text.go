package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
)

// manyNodes is how many lines the table of nodes may have before it leaves out those about which there is nothing to say.
const manyNodes = 40

const fineState = "proven"

func writeClusterText(w io.Writer, c *Cluster, style Style) error {
	p := &page{Style: style}
	p.linef("%s", strings.Join([]string{p.bold("cluster " + Printable(c.Source)), plural(len(c.Nodes), "node"), c.Taken.UTC().Format("2006-01-02 15:04:05 UTC")}, p.dim(" · ")))
	p.linef("%s", p.states(c))
	p.linef("")
	p.nodes(c, false)
	d := c.document()
	if len(c.Nodes) == 1 {
		p.own(&c.Nodes[0])
	}
	for _, s := range []check.Severity{check.Critical, check.Warning, check.Info} {
		p.group(d, s)
	}
	p.skipped(d)
	p.summary(d)
	_, err := io.WriteString(w, p.String())
	return err
}

// states counts nodes by their state.
func (p *page) states(c *Cluster) string {
	if len(c.Nodes) == 0 {
		return "no nodes"
	}
	var parts []string
	var seen []string
	for _, n := range c.Nodes {
		if !slices.Contains(seen, n.State) {
			seen = append(seen, n.State)
			parts = append(parts, p.state(n.State, fmt.Sprintf("%d %s", c.Summary.States[n.State], Printable(n.State))))
		}
	}
	return strings.Join(parts, p.dim(" · "))
}

// state paints the name of a state.
func (p *page) state(state, text string) string {
	switch state {
	case fineState:
		return p.paint(sgrGreen, text)
	case "faulty":
		return p.severity(check.Critical, text)
	case "starting":
		return text
	}
	return p.severity(check.Warning, text)
}

// quietNode is one that a long table may leave out.
func quietNode(n *ClusterNode) bool {
	return n.State == fineState && n.Critical+n.Warning == 0
}

func (p *page) nodes(c *Cluster, wide bool) {
	heads := []string{"NODE", "STATE", "CRITICAL", "WARNING", "MENDED", "AGE"}
	if wide {
		heads = []string{"NODE", "STATE", "CRITICAL", "WARNING", "INFO", "MENDED", "AGE", "SINCE", "MODE", "NETMEND", "KERNEL", "PROXY", "CNI", "WHY"}
	}
	rows := [][]string{heads}
	var shown []*ClusterNode
	left := 0
	for i := range c.Nodes {
		n := &c.Nodes[i]
		if !wide && len(c.Nodes) > manyNodes && quietNode(n) {
			left++
			continue
		}
		shown = append(shown, n)
		row := []string{Printable(n.Name), Printable(n.State), strconv.Itoa(n.Critical), strconv.Itoa(n.Warning)}
		if wide {
			row = append(row, strconv.Itoa(n.Info))
		}
		row = append(row, strconv.Itoa(n.Mended), age(c.Taken, n.Created))
		if wide {
			row = append(row, age(c.Taken, n.Since), orDash(n.Mode), orDash(n.Netmend), orDash(n.Kernel), orDash(n.Proxy), orDash(n.CNI), Printable(n.Why))
		}
		if n.State == "no report" || n.State == "unreadable" { // nobody counted
			for i := 2; i < len(row) && i < slices.Index(heads, "AGE"); i++ {
				row[i] = "-"
			}
		}
		rows = append(rows, row)
	}
	p.table(rows, func(row, column int, cell string) string {
		switch n := row - 1; {
		case row == 0:
			return p.dim(cell)
		case column == 1:
			return p.state(shown[n].State, cell)
		case column == 2 && shown[n].Critical > 0:
			return p.severity(check.Critical, cell)
		case column == 3 && shown[n].Warning > 0:
			return p.severity(check.Warning, cell)
		}
		return cell
	})
	if left > 0 {
		p.linef("%s", p.dim(fmt.Sprintf("and %s without findings (-o wide lists all)", plural(left, "proven node"))))
	}
}

// table writes rows in columns; paint is given each cell with its place.
func (p *page) table(rows [][]string, paint func(row, column int, cell string) string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell))
		}
	}
	for n, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = paint(n, i, cell) + strings.Repeat(" ", widths[i]-width(cell))
		}
		p.linef("%s", strings.Join(cells, "  "))
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return Printable(text)
}

// age is how long ago something was, as kubectl writes it: in its largest unit.
func age(now, then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	d := max(0, now.Sub(then))
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// own writes what a node reports of itself.
func (p *page) own(n *ClusterNode) {
	if n.Why != "" {
		p.linef("%s", Printable(n.State+": "+n.Why))
	}
	if len(n.Findings) == 0 {
		return
	}
	p.linef("")
	p.linef("%s", p.bold("OF THE NODE ITSELF"))
	for _, f := range n.Findings {
		p.linef("")
		p.linef("  %s%s%s", p.severity(f.Severity, Printable(f.Check)), p.dim(" · "), p.bold(Printable(f.Object)))
		for _, line := range wrap(Printable(f.Message), p.Width-4) {
			p.linef("    %s", line)
		}
		if f.Plan != "" {
			p.labelled(4, "plan", Printable(f.Plan))
		}
		p.labelled(4, "page", p.dim(Page(Printable(f.Check))))
	}
}

// writeClusterWide writes two tables: the nodes, and a line for each finding of the cluster. Nothing is cut.
func writeClusterWide(w io.Writer, c *Cluster, style Style) error {
	p := &page{Style: style}
	p.nodes(c, true)
	rows := [][]string{{"SEVERITY", "CHECK", "OBJECT", "NODES", "MESSAGE"}}
	for _, f := range c.Findings {
		rows = append(rows, []string{f.Severity.String(), Printable(f.Check), orDash(f.Where), orDash(strings.Join(f.Nodes, ",")), Printable(f.Message)})
	}
	if len(rows) > 1 {
		p.linef("")
		p.table(rows, func(row, column int, cell string) string {
			switch {
			case row == 0:
				return p.dim(cell)
			case column == 0:
				return p.severity(c.Findings[row-1].Severity, cell)
			}
			return cell
		})
	}
	d := c.document()
	p.skipped(d)
	p.summary(d)
	_, err := io.WriteString(w, p.String())
	return err
}
