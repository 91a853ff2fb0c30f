package cluster

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// view is the input by names. A report is judged only where it is of the node as it is now.
type view struct {
	in      *Input
	known   bool // the nodes were read
	nodes   map[string]*Node
	reports map[string]*nodereport.Report // all
	current []*nodereport.Report          // those that are judged, in the order of their nodes
	stale   map[string]string             // why a node's report is not judged
}

// newNode is how long a node may take until its daemon has told something: an image is pulled, and the network read.
const newNode = 5 * time.Minute

func newView(in *Input) *view {
	_, missing := in.Missing[Nodes]
	v := &view{in: in, known: !missing, nodes: map[string]*Node{}, reports: map[string]*nodereport.Report{}, stale: map[string]string{}}
	for i := range in.Nodes {
		v.nodes[in.Nodes[i].Name] = &in.Nodes[i]
	}
	for i := range in.Reports {
		v.reports[in.Reports[i].Metadata.Name] = &in.Reports[i]
	}
	for _, name := range sorted(v.reports) {
		r := v.reports[name]
		if why := v.outdated(r); why != "" {
			v.stale[name] = why
			continue
		}
		v.current = append(v.current, r)
	}
	return v
}

// outdated says why a report may not be what the node is now. A report is written when it changes, so that its age says nothing.
func (v *view) outdated(r *nodereport.Report) string {
	if !v.known {
		return ""
	}
	n := v.nodes[r.Metadata.Name]
	switch {
	case n == nil:
		return "there is no such node"
	case n.UID != "" && slices.ContainsFunc(r.Metadata.Owners, func(o nodereport.Owner) bool {
		return o.Kind == "Node" && o.Name == n.Name && o.UID != "" && o.UID != n.UID
	}):
		return "it is of a former node of that name"
	case !n.Ready:
		return "the node is not ready, so nobody knows what it is now"
	case n.Kernel != "" && r.Status.Versions.Kernel != "" && n.Kernel != r.Status.Versions.Kernel:
		return "it is from before the node started with kernel " + n.Kernel
	case r.Status.State == status.Stopping:
		return "the daemon was stopped"
	}
	return ""
}

// silent are the nodes of which nothing is known: no report, though there was time to write one.
func (v *view) silent() (out []string) {
	for _, name := range sorted(v.nodes) {
		n := v.nodes[name]
		if v.reports[name] == nil && v.in.Broken[name] == "" && (n.OS == "" || n.OS == "linux") && v.in.Now.Sub(n.Created) > newNode {
			out = append(out, name)
		}
	}
	return out
}

// leftOut says what the checks of reports could not see; empty where they saw all.
func (v *view) leftOut() string {
	var parts []string
	if n := len(v.silent()); n > 0 {
		parts = append(parts, count(n, "node has", "nodes have")+" no report")
	}
	stale := 0
	for name := range v.stale {
		if v.nodes[name] != nil {
			stale++
		}
	}
	if stale > 0 {
		parts = append(parts, count(stale, "report is", "reports are")+" out of date")
	}
	if n := len(v.in.Broken); n > 0 {
		parts = append(parts, count(n, "report is", "reports are")+" unreadable")
	}
	return strings.Join(parts, ", ")
}

// linksOmitted says how many links the reports have no room for.
func linksOmitted(v *view) string {
	return v.omitted("link has", "links have", func(n *nodereport.Network) int { return n.LinksOmitted })
}

func (v *view) omitted(one, many string, of func(*nodereport.Network) int) string {
	n := 0
	for _, r := range v.current {
		n += max(0, of(&r.Status.Network))
	}
	if n == 0 {
		return ""
	}
	return count(n, one, many) + " no room in their nodes' reports"
}

// of is the node of that name as the API knows it; an empty one where it does not.
func (v *view) of(name string) *Node {
	if n := v.nodes[name]; n != nil {
		return n
	}
	return &Node{Name: name}
}

// addressesOf are those by which others reach a node.
func (v *view) addressesOf(r *nodereport.Report) (out []netip.Addr) {
	for _, u := range r.Status.Network.Uplinks {
		for _, p := range u.Addresses {
			out = append(out, p.Addr().Unmap())
		}
	}
	for _, t := range r.Status.Network.Tunnels {
		if t.Local.IsValid() && !t.Local.IsUnspecified() {
			out = append(out, t.Local.Unmap())
		}
	}
	return append(out, v.of(r.Metadata.Name).Addresses...)
}

// State is one line of the table of nodes.
type State struct {
	Name     string    `json:"name"`
	State    string    `json:"state"`          // of the report, or "no report", "outdated", "unreadable"
	Why      string    `json:"why,omitempty"`  // of the last two
	Mode     string    `json:"mode,omitempty"` // audit or fix
	Critical int       `json:"critical"`
	Warning  int       `json:"warning"`
	Info     int       `json:"info"`
	Mended   int       `json:"mended"`
	Since    time.Time `json:"since,omitzero"`   // of the state
	Created  time.Time `json:"created,omitzero"` // the report
	Netmend  string    `json:"netmend,omitempty"`
	Kernel   string    `json:"kernel,omitempty"`
	CNI      string    `json:"cni,omitempty"`
	Proxy    string    `json:"proxyMode,omitempty"`

	Findings []nodereport.Finding `json:"findings,omitempty"` // the node's own
}

// States that are none of a report.
const (
	NoReport   = "no report"
	Outdated   = "outdated"
	Unreadable = "unreadable"
)

// states are all nodes, those to look at first.
func (v *view) states() []State {
	names := map[string]bool{}
	for name := range v.nodes {
		names[name] = true
	}
	for name := range v.reports {
		names[name] = true
	}
	for name := range v.in.Broken {
		names[name] = true
	}
	var out []State
	for _, name := range sorted(names) {
		out = append(out, v.state(name))
	}
	slices.SortStableFunc(out, func(a, b State) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(b.Critical, a.Critical), cmp.Compare(b.Warning, a.Warning))
	})
	return out
}

func rank(s State) int {
	return slices.Index([]string{string(status.Faulty), Unreadable, NoReport, Outdated, string(status.Unproven), string(status.Starting), string(status.Stopping), string(status.Proven)}, s.State)
}

func (v *view) state(name string) State {
	s := State{Name: name, State: NoReport, Kernel: v.of(name).Kernel}
	if why, ok := v.in.Broken[name]; ok {
		s.State, s.Why = Unreadable, why
	}
	r := v.reports[name]
	if r == nil {
		return s
	}
	st := &r.Status
	s = State{
		Name: name, State: string(st.State), Mode: st.Mode, Critical: st.Critical, Warning: st.Warning, Info: st.Info, Mended: st.Mended, Since: st.Since,
		Created: r.Metadata.Created, Netmend: st.Versions.Netmend, Kernel: st.Versions.Kernel, CNI: st.Network.CNI, Proxy: st.Network.ProxyMode, Findings: st.Findings,
	}
	if why, ok := v.stale[name]; ok {
		s.State, s.Why = Outdated, why
	}
	return s
}

// finding makes one; a node may be named more than once.
func finding(severity check.Severity, on string, nodes []string, format string, args ...any) Finding {
	f := Finding{Finding: check.Finding{Severity: severity, On: facts.Ref{Name: on}, Message: fmt.Sprintf(format, args...)}}
	seen := map[string]bool{}
	for _, n := range nodes {
		if !seen[n] {
			seen[n] = true
			f.Nodes = append(f.Nodes, n)
		}
	}
	return f
}

func (f *Finding) prove(fact, got, want string) {
	f.Evidence = append(f.Evidence, check.Evidence{Fact: fact, Got: got, Want: want})
}

// named is how many names a sentence has.
const named = 5

// list names a few of many.
func list(names []string) string {
	if len(names) <= named+1 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:named], ", "), len(names)-named)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// word makes text one word of a shell's command line.
func word(text string) string {
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/=@%+,", r)
	}) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
