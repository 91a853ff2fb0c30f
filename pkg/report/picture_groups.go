package report

import (
	"cmp"
	"fmt"
	"strings"
)

// block is a group with its measures.
type block struct {
	group
	w, h    int
	head    int // height of its head: title, bridge
	columns int
	named   bool // few pods, with their names; else a grid of cells
}

const (
	blockPad   = 10
	titleSpace = 24
)

// groups draws the groups in rows below the bar, each row on a wire of its own that hangs from the left of the bar.
func (p *picture) groups(groups []group, bar, y int) int {
	x := margin + indent
	var row []block
	flush := func() {
		if len(row) == 0 {
			return
		}
		y = p.row(row, bar, y)
		row, x = nil, margin+indent
	}
	for _, g := range groups {
		b := measure(g)
		if x+b.w > pictureWidth-margin {
			flush()
		}
		row = append(row, b)
		x += b.w + gap
	}
	flush()
	return y
}

func measure(g group) block {
	const most = pictureWidth - 2*margin - indent
	b := block{group: g, named: len(g.Pods) <= fewPods, head: titleSpace}
	if g.Bridge != nil {
		b.head = g.Bridge.height() + gap/2
	}
	if len(g.Ports) > 0 {
		b.head += titleSpace
	}
	cellW, cellH := cellSize+cellGap, cellSize+cellGap
	switch {
	case b.named:
		cellW, cellH, b.columns = podWidth+cellGap, podHeight+cellGap, max(1, min(3, len(g.Pods)))
		if len(g.Pods) > 6 {
			b.columns = min(6, len(g.Pods))
		}
	case len(g.Pods) > 60:
		b.columns = (most - 2*blockPad) / cellW
	default:
		b.columns = 17
	}
	if !b.named {
		b.head += titleSpace
	}
	rows := (len(g.Pods) + b.columns - 1) / b.columns
	b.w = max(deviceWidth+2*blockPad, min(most, b.columns*cellW-cellGap+2*blockPad))
	if b.w > most-2*podWidth {
		b.w = most // ends with the bar
	}
	b.h = b.head + rows*cellH + 2*blockPad
	return b
}

func (p *picture) row(row []block, bar, y int) int {
	const trunk = margin + indent/2
	rail, tallest, x := y, 0, margin+indent
	p.wire("M%d %dV%d", trunk, bar, rail)
	top := rail + gap
	for i, b := range row {
		middle := x + min(b.w/2, deviceWidth/2)
		if i == len(row)-1 {
			p.wire("M%d %dH%d", trunk, rail, middle)
		}
		p.wire("M%d %dV%d", middle, rail, top)
		p.block(b, x, top)
		tallest = max(tallest, b.h)
		x += b.w + gap
	}
	return top + tallest + gap
}

func (p *picture) block(b block, x, y int) {
	count := plural(len(b.Pods), "pod")
	p.add(shape{X: x, Y: y, W: b.w, H: b.h, Class: "group", Tip: b.Title + ", " + count}, nil)
	top := y + blockPad
	if b.Bridge != nil {
		p.device(*b.Bridge, x+blockPad, top)
		top += b.Bridge.height() + gap/2
	} else {
		p.caption(b.Title, x+blockPad, top, b.w-2*blockPad)
		top += titleSpace
	}
	if len(b.Ports) > 0 {
		p.ports(b.Ports, x+blockPad, top, b.w-2*blockPad)
		top += titleSpace
	}
	if b.named {
		for i, pod := range b.Pods {
			p.named(pod, x+blockPad+i%b.columns*(podWidth+cellGap), top+i/b.columns*(podHeight+cellGap))
		}
		return
	}
	p.caption(podsText(b.Pods), x+blockPad, top, b.w-2*blockPad)
	top += titleSpace
	for i, pod := range b.Pods {
		p.cell(pod, x+blockPad+i%b.columns*(cellSize+cellGap), top+i/b.columns*(cellSize+cellGap))
	}
}

// podsText says how many there are, and how many of them are faulty.
func podsText(pods []pod) string {
	faulty := 0
	for _, p := range pods {
		if p.Fault != nil {
			faulty++
		}
	}
	if faulty == 0 {
		return plural(len(pods), "pod")
	}
	return fmt.Sprintf("%s, %d with findings", plural(len(pods), "pod"), faulty)
}

func (p *picture) caption(text string, x, y, w int) {
	p.add(shape{X: x, Y: y, W: w, H: titleSpace - 6, Class: "caption", Tip: text, Texts: []label{{x, y + 14, "small", fit(text, w, textLetter)}}}, nil)
}

// ports names the ports of a bridge that lead to no pod. They are drawn once more where they are on an uplink, so only a fault is marked there.
func (p *picture) ports(ports []device, x, y, w int) {
	names := make([]string, len(ports))
	for i, d := range ports {
		names[i] = d.Link.Name
	}
	p.caption("ports: "+strings.Join(names, ", "), x, y, w)
}

func (p *picture) named(d pod, x, y int) {
	room := podWidth - 14
	if d.Fault != nil {
		room -= 18
	}
	p.add(shape{X: x, Y: y, W: podWidth, H: podHeight, Class: "pod", Tip: d.tip(), Texts: []label{
		{x + 8, y + 16, "podname", fit(d.name(), room, textLetter)},
		{x + 8, y + 30, "small", fit(d.about(), podWidth-14, textLetter)},
	}}, d.Fault)
}

func (p *picture) cell(d pod, x, y int) {
	s := shape{X: x, Y: y, W: cellSize, H: cellSize, Class: "pod cell", Tip: d.tip()}
	if d.Fault != nil {
		s.Texts = []label{{x + cellSize/2, y + 15, "mark", "!"}}
	}
	p.add(s, d.Fault)
	p.Shapes[len(p.Shapes)-1].Badge = nil
}

// about is the second line of a pod.
func (d pod) about() string {
	switch {
	case d.Owner != nil:
		return "of " + pod{NS: d.Owner}.name()
	case d.NS == nil:
		return "no known namespace"
	}
	return cmp.Or(d.address(), "no address")
}

// tip is all that is known of a pod in a line.
func (d pod) tip() string {
	switch {
	case d.Owner != nil:
		return d.Veth.Name + ": another link of " + nameNamespace(d.Owner)
	case d.NS == nil:
		return d.Veth.Name + ": its other end is in no namespace that was read"
	}
	parts := []string{nameNamespace(d.NS)}
	if ip := d.address(); ip != "" {
		parts = append(parts, ip)
	}
	if d.Veth != nil {
		parts = append(parts, "behind "+d.Veth.Name)
	}
	return strings.Join(parts, ", ")
}
