package report

import (
	"cmp"
	"fmt"
	"strings"
)

// picture is the drawing of a topology: what html.tmpl writes as SVG. Units are those of its view box.
type picture struct {
	Width, Height int
	Wires         []string // paths
	Shapes        []shape
}

// shape is a box with texts in it; one with a finding leads to it.
type shape struct {
	X, Y, W, H int
	Class      string
	Tip        string // shown by browsers on hover, and read by screen readers
	Finding    int    // place in the document; -1: none
	Texts      []label
	Badge      *badge
}

// label is one line of text.
type label struct {
	X, Y  int
	Class string
	Text  string
}

// badge marks a faulty object with its severity and, where it has several findings, their number.
type badge struct {
	X, Y     int
	Severity string
	Text     string
}

// What the layout is measured in. Letters are assumed to be as wide as those of the widest font that the style sheet names.
const (
	pictureWidth = 1000
	margin       = 12
	deviceWidth  = 228
	deviceHeight = 52 // of one with two lines
	lineHeight   = 17
	mostLines    = 4 // with the name
	gap          = 16
	indent       = 22
	barHeight    = 44
	cellSize     = 20
	cellGap      = 5
	podWidth     = 146
	podHeight    = 38
	nameLetter   = 8.0 // width of one, of the name of a device
	textLetter   = 6.7 // of the smaller lines
	fewPods      = 12
	mostDrawn    = 8000 // namespaces and links of all of them: nobody can look at more, and placing them takes the square of it
)

// draw makes the picture; nil where there is nothing to draw, or too much.
func draw(d *Document) *picture {
	s := d.snapshot
	things := len(s.Host.Links) + len(s.Pods)
	for i := range s.Pods {
		things += len(s.Pods[i].Links)
	}
	if len(s.Host.Links) == 0 || things > mostDrawn {
		return nil
	}
	t, node := arrange(d)
	p := &picture{Width: pictureWidth}
	y := p.stacks(t.Uplinks, margin)
	bar := y
	y = p.bar(d, node, y) + gap
	y = p.groups(t.Groups, bar+barHeight, y)
	y = p.others(t.Others, y)
	p.Height = y + margin - gap
	return p
}

func (p *picture) wire(format string, args ...any) {
	p.Wires = append(p.Wires, fmt.Sprintf(format, args...))
}

// stacks draws each uplink as a tree. A riser in the gutter to its left leads to the bar below. Stacks in a row share their height.
func (p *picture) stacks(stacks []stack, y int) int {
	const left = margin + gap
	const perRow = (pictureWidth - left - margin + gap) / (deviceWidth + gap)
	var rows []int
	for n := 0; n < len(stacks); n += perRow {
		rows = append(rows, y)
		tallest := 0
		for _, s := range stacks[n:min(n+perRow, len(stacks))] {
			tallest = max(tallest, s.height())
		}
		y += tallest
	}
	for n, s := range stacks {
		x, top := left+n%perRow*(deviceWidth+gap), rows[n/perRow]
		p.wire("M%d %dH%dV%d", x, top+deviceHeight/2, x-gap/2, y)
		p.stack(s, x, top)
	}
	return y
}

// height is the room that a stack takes, with the gap below it.
func (s stack) height() int {
	h := 0
	for _, d := range s.Devices {
		h += d.height() + gap
	}
	return h
}

func (p *picture) stack(s stack, x, y int) {
	trunk, top := x+indent/2, y
	for _, d := range s.Devices {
		left := x + d.Depth*indent
		if d.Depth > 0 {
			p.wire("M%d %dV%dH%d", trunk, y+s.Devices[0].height(), top+deviceHeight/2, left)
		}
		p.device(d, left, top)
		top += d.height() + gap
	}
}

func (d device) width() int { return deviceWidth - d.Depth*indent }

func (d device) height() int { return deviceHeight + (len(d.about())-1)*lineHeight }

// about is the lines below a device's name: its first address and MTU, then its further addresses. Beside a long address there is no room.
func (d device) about() []string {
	first, addresses := fmt.Sprintf("mtu %d", d.Link.MTU), d.Addresses
	if len(addresses) > 0 {
		if both := addresses[0] + " · " + first; float64(width(both))*textLetter <= float64(d.width()-20) {
			first, addresses = both, addresses[1:]
		}
	}
	if !d.Link.Up {
		first += " · down"
	}
	lines := []string{first}
	for i, a := range addresses {
		if rest := len(addresses) - i; len(lines) == mostLines-2 && rest > 1 {
			return append(lines, fmt.Sprintf("and %d more", rest))
		}
		lines = append(lines, a)
	}
	return lines
}

// device draws one link: its name and kind, below them what there is to say about it.
func (p *picture) device(d device, x, y int) {
	l, w, about := d.Link, d.width(), d.about()
	class := "device"
	if !l.Up {
		class = "device down"
	}
	room := w - 20
	if d.Fault != nil {
		room -= 18
	}
	name := fit(l.Name, room, nameLetter)
	texts := []label{{x + 10, y + 21, "name", name}}
	for i, line := range about {
		texts = append(texts, label{x + 10, y + 39 + i*lineHeight, "small", fit(line, w-20, textLetter)})
	}
	if after := (width(name) + 1) * nameLetter; l.Kind != "" && after+int(float64(width(l.Kind))*textLetter) <= room {
		texts = append(texts, label{x + 10 + after, y + 21, "small", l.Kind})
	}
	tip := strings.TrimSpace(l.Name+" "+l.Kind) + ": " + strings.Join(about, ", ")
	p.add(shape{X: x, Y: y, W: w, H: d.height(), Class: class, Tip: tip, Texts: texts}, d.Fault)
}

// add draws a shape, marked where it is faulty.
func (p *picture) add(s shape, f *fault) {
	s.Finding = -1
	s.Tip = Printable(s.Tip)
	for i := range s.Texts {
		s.Texts[i].Text = Printable(s.Texts[i].Text)
	}
	if f != nil {
		s.Finding = f.Finding
		s.Class += " " + f.Severity.String()
		s.Tip += " — " + f.Severity.String()
		s.Badge = &badge{X: s.X + s.W - 14, Y: s.Y + min(15, s.H/2), Severity: f.Severity.String(), Text: "!"}
		if f.Count > 1 {
			s.Badge.Text = fmt.Sprint(min(f.Count, 99))
			s.Tip += fmt.Sprintf(", %d findings", f.Count)
		}
	}
	p.Shapes = append(p.Shapes, s)
}

// bar draws the node itself, through which everything is routed.
func (p *picture) bar(d *Document, node *fault, y int) int {
	about := []string{"routing, packet filter, Services"}
	if v, ok := d.snapshot.Host.Sysctls["net/ipv4/ip_forward"]; ok {
		about = append(about, "ip_forward "+v)
	}
	if d.Node.ProxyMode != "" {
		about = append(about, "kube-proxy "+d.Node.ProxyMode)
	}
	if c := d.snapshot.Host.Conntrack; c != nil && c.Max > 0 {
		about = append(about, fmt.Sprintf("conntrack %d of %d", c.Count, c.Max))
	}
	w := pictureWidth - 2*margin
	name := fit(cmp.Or(d.Node.Name, "the node"), w/3, nameLetter)
	text := strings.Join(about, " · ")
	p.add(shape{X: margin, Y: y, W: w, H: barHeight, Class: "node", Tip: cmp.Or(d.Node.Name, "the node") + ": " + text, Texts: []label{
		{margin + 12, y + 27, "name", name},
		{margin + 12 + (width(name)+2)*nameLetter, y + 27, "small", fit(text, w-60-width(name)*nameLetter, textLetter)},
	}}, node)
	return y + barHeight
}

// others draws what carries nothing as one line of names, the faulty ones as boxes.
func (p *picture) others(others []device, y int) int {
	var names []string
	x, tallest := margin, 0
	for _, d := range others {
		if d.Fault == nil {
			names = append(names, d.Link.Name)
			continue
		}
		if x+deviceWidth > pictureWidth-margin {
			x, y, tallest = margin, y+tallest+gap, 0
		}
		p.device(d, x, y)
		x, tallest = x+deviceWidth+gap, max(tallest, d.height())
	}
	if x > margin {
		y += tallest + gap
	}
	if len(names) == 0 {
		return y
	}
	text := "also there: " + strings.Join(names, ", ")
	p.add(shape{X: margin, Y: y, W: pictureWidth - 2*margin, H: 24, Class: "also", Tip: text, Texts: []label{
		{margin + 4, y + 16, "small", fit(text, pictureWidth-2*margin-8, textLetter)}}}, nil)
	return y + 24 + gap
}

// fit cuts text to the letters that there is room for.
func fit(text string, room int, letter float64) string {
	text = Printable(text)
	runes := []rune(text)
	if most := max(1, int(float64(room)/letter)); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// base is the last step of a path.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
