package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/services"
)

// serviceDoc is what -o json writes of a Service. Fields are added, never changed.
type serviceDoc struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Node       string       `json:"node"`
	Mode       string       `json:"mode"`             // kube-proxy's
	Source     string       `json:"source,omitempty"` // who told what is wanted; empty where nobody did
	Age        int64        `json:"age,omitempty"`    // seconds since
	Ways       []serviceWay `json:"ways"`
}

// serviceWay is one way into the Service: a frontend, for some or all connections.
type serviceWay struct {
	Service  string       `json:"service,omitempty"` // namespace/name:port; empty where only the rules are known, and they do not name it
	Frontend string       `json:"frontend"`          // cluster, external, load-balancer, node-port, health
	Address  string       `json:"address"`           // address and port, or the port alone
	Protocol string       `json:"protocol"`
	From     string       `json:"from,omitempty"`    // inside, node or outside: whose connections; empty: all
	Wanted   string       `json:"wanted,omitempty"`  // the backends, or what becomes of connections; empty where it is not known
	Doubt    string       `json:"doubt,omitempty"`   // why nothing certain is wanted
	Held     []string     `json:"held"`              // the backends, or what becomes of connections; empty: no rules
	Ahead    []string     `json:"ahead,omitempty"`   // rules of other programs that its connections meet before kube-proxy's, and that may keep them from those
	Links    []string     `json:"links,omitempty"`   // the rules that carry it
	Differs  []string     `json:"differs,omitempty"` // where Wanted and Held do
	Connects []serviceTry `json:"connects,omitempty"`

	path  *facts.ServicePath
	reach []netip.AddrPort // what to connect to
}

// serviceTry is one connection.
type serviceTry struct {
	To           string  `json:"to"`
	What         string  `json:"what"`                   // frontend, backend, or stale: a backend that is held and not wanted
	Milliseconds float64 `json:"milliseconds,omitempty"` // that it took; 0 where it failed
	Error        string  `json:"error,omitempty"`
}

func newWay(p *facts.ServicePath) serviceWay {
	w := serviceWay{Service: p.Name, Frontend: p.Kind, Protocol: p.Protocol, From: p.Scope, Address: fmt.Sprint(p.Port), Held: []string{}, path: p}
	if p.VIP.IsValid() {
		at := netip.AddrPortFrom(p.VIP, p.Port)
		w.Address = at.String()
		if p.Protocol == "tcp" && p.Scope != facts.ScopeOutside && p.Verdict == "" && len(p.Backends) > 0 {
			w.reach = append(w.reach, at)
		}
	}
	w.backends(p)
	return w
}

// backends adds those of a path to what is connected to.
func (w *serviceWay) backends(p *facts.ServicePath) {
	for _, b := range p.Backends {
		if p.Protocol == "tcp" && !slices.Contains(w.reach, b.Addr) {
			w.reach = append(w.reach, b.Addr)
		}
	}
}

// carry adds what holds the way.
func (w *serviceWay) carry(held *facts.ServicePath) {
	w.backends(held)
	w.Held = append(w.Held, outcomeOf(held))
	for _, link := range held.Trace {
		if !slices.Contains(w.Links, link) {
			w.Links = append(w.Links, link)
		}
	}
	for _, link := range held.Broken {
		w.Links = append(w.Links, link+" leads nowhere")
	}
}

// outcomeOf says what becomes of the connections of a path.
func outcomeOf(p *facts.ServicePath) string {
	var words []string
	for _, b := range p.Backends {
		word := b.Addr.String()
		if b.Weight != 1 {
			word += fmt.Sprintf(" (weight %d)", b.Weight)
		}
		words = append(words, word)
	}
	switch {
	case p.Kind == facts.FrontHealth:
		return "let in"
	case p.Unknown != "":
		words = append(words, "not understood: "+p.Unknown)
	case len(words) > 0:
	case p.Verdict == facts.VerdictReject:
		words = append(words, "rejected: no endpoint")
	case p.Verdict == facts.VerdictDrop:
		words = append(words, "dropped: no endpoint on this node, and a policy is Local")
	default:
		words = append(words, "nowhere")
	}
	text := strings.Join(words, ", ")
	if p.Affinity > 0 {
		text += fmt.Sprintf("; a client stays for %d s", p.Affinity)
	}
	if p.Masquerade != 0 {
		text += "; masquerades " + p.Masquerade.String()
	}
	if len(p.Sources) > 0 {
		text += fmt.Sprintf("; only from %s", strings.Trim(fmt.Sprint(p.Sources), "[]"))
	}
	return text
}

// before adds the rules of other programs that its connections meet first.
func (w *serviceWay) before(rules []facts.AheadRule, local []netip.Addr) {
	for i := range rules {
		a := &rules[i]
		// A port of the node itself is at the node's addresses.
		if a.Catches(w.path) && (w.path.VIP.IsValid() || !a.Dst.IsValid() || slices.ContainsFunc(local, a.Dst.Contains)) {
			w.Ahead = append(w.Ahead, a.Text())
		}
	}
}

// way is that of a wanted path; nil for one that was not asked for.
func (d *serviceDoc) way(path *facts.ServicePath) *serviceWay {
	at := slices.IndexFunc(d.Ways, func(w serviceWay) bool { return path != nil && w.path == path })
	if at < 0 {
		return nil
	}
	return &d.Ways[at]
}

// unheeded says of ways that differ because kube-proxy does not know the node's zone that it is so.
func (d *serviceDoc) unheeded(list []services.Difference, zone string) {
	for i := range list {
		if w := d.way(list[i].Want); w != nil {
			w.Differs = append(w.Differs, "kube-proxy does not heed hints for this node's zone, "+zone+": restarted, it hears of the zone")
		}
	}
}

// differences puts each difference to its way.
func (d *serviceDoc) differences(list []services.Difference) {
	for i := range list {
		x := &list[i]
		if x.Want == nil {
			continue
		}
		w := d.way(x.Want)
		if w == nil {
			continue
		}
		if x.Held == nil {
			w.Differs = append(w.Differs, "this node has no rules for it")
			continue
		}
		for _, a := range x.Extra {
			w.Differs = append(w.Differs, a.String()+" gets connections and should get none")
		}
		for _, a := range x.Missing {
			text := a.String() + " should get connections and gets none"
			if slices.Contains(x.Dead, a) {
				text += ": its weight is 0"
			}
			w.Differs = append(w.Differs, text)
		}
		for _, f := range x.Fields {
			w.Differs = append(w.Differs, fmt.Sprintf("%s: %s, not %s", f.Name, f.Got, f.Want))
		}
	}
}

// tried puts each attempt to the ways that it is of.
func (d *serviceDoc) tried(attempts []audit.Attempt) {
	for i := range d.Ways {
		w := &d.Ways[i]
		for _, to := range w.reach {
			at := slices.IndexFunc(attempts, func(a audit.Attempt) bool { return a.To == to })
			if at < 0 {
				continue
			}
			a := attempts[at]
			t := serviceTry{To: a.To.String(), What: "backend"}
			switch {
			case w.path.VIP == a.To.Addr() && w.path.Port == a.To.Port():
				t.What = "frontend"
			case w.Wanted != "" && !slices.ContainsFunc(w.path.Backends, func(b facts.ServiceBackend) bool { return b.Addr == a.To }):
				t.What = "stale"
			}
			if a.Err != nil {
				t.Error = connectError(a.Err)
			} else {
				t.Milliseconds = math.Round(float64(a.Took.Microseconds())) / 1000
			}
			w.Connects = append(w.Connects, t)
		}
	}
}

// connectError says in few words why a connection failed.
func connectError(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "no route to the host, or nobody there"
	case errors.Is(err, syscall.ENETUNREACH):
		return "no route"
	}
	return err.Error()
}

// wrong says whether the rules differ or a connection failed that should succeed.
func (d *serviceDoc) wrong() bool {
	return slices.ContainsFunc(d.Ways, func(w serviceWay) bool {
		return len(w.Differs) > 0 || slices.ContainsFunc(w.Connects, func(t serviceTry) bool { return t.Error != "" && t.What != "stale" })
	})
}

// text is the document for people.
func (d *serviceDoc) text(style report.Style) string {
	p := report.NewSheet(style)
	head := fmt.Sprintf("node %s, kube-proxy in %s mode", d.Node, d.Mode)
	if d.Source != "" {
		head += ", wanted by " + d.Source
	}
	if d.Age > 0 {
		head += fmt.Sprintf(", %d s old", d.Age)
	}
	p.Line(head)
	for i := range d.Ways {
		d.Ways[i].write(p)
	}
	if d.Source == "" {
		p.Line("")
		p.Line("What the cluster wants is not known here: --services FILE")
	}
	return p.String()
}

func (w *serviceWay) write(p *report.Sheet) {
	title := fmt.Sprintf("%s  %s/%s", w.Frontend, w.Address, w.Protocol)
	if w.Service != "" {
		title = w.Service + "  " + title
	}
	if w.From != "" {
		title += map[string]string{facts.ScopeInside: "  from this node and its pods", facts.ScopeNode: "  from this node", facts.ScopeOutside: "  from outside"}[w.From]
	}
	p.Line("")
	p.Bold(title)
	if w.Wanted != "" {
		p.Label("wanted", w.Wanted)
	}
	if w.Doubt != "" {
		p.Label("doubt", w.Doubt)
	}
	held := strings.Join(w.Held, "; ")
	if held == "" {
		held = "no rules"
	}
	p.Label("held", held)
	for i, rule := range w.Ahead {
		p.Warn(map[bool]string{true: "ahead"}[i == 0], rule)
	}
	for i, link := range w.Links {
		p.Label(map[bool]string{true: "rules"}[i == 0], link)
	}
	for i, text := range w.Differs {
		p.Warn(map[bool]string{true: "differs"}[i == 0], text)
	}
	for i, t := range w.Connects {
		label := map[bool]string{true: "connect"}[i == 0]
		what := map[string]string{"frontend": "  the Service's address", "stale": "  should get no connections"}[t.What]
		if t.Error != "" {
			p.Warn(label, fmt.Sprintf("%-24s %s%s", t.To, t.Error, what))
			continue
		}
		p.Label(label, fmt.Sprintf("%-24s %.3g ms%s", t.To, t.Milliseconds, what))
	}
}
