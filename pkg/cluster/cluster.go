package cluster

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
)

// Source is a part of the input that is read or missing as a whole.
type Source string

// The sources, as people know them.
const (
	Reports Source = "nodenetworkreports"
	Nodes   Source = "nodes"
	Proxy   Source = "kube-proxy" // its pods and its DaemonSet
)

// Input is what was read of a cluster.
type Input struct {
	Now     time.Time // when it was read
	Reports []nodereport.Report
	Broken  map[string]string // reports by the names of their nodes that could not be read, and why
	Nodes   []Node
	Proxy   KubeProxy
	Missing map[Source]string // what could not be read, and why
}

// Node is what the API says of a node.
type Node struct {
	Name      string
	UID       string
	Created   time.Time
	Ready     bool // its kubelet is heard and says so
	OS        string
	Kernel    string
	Addresses []netip.Addr   // InternalIP first, then ExternalIP
	Internal  int            // how many of Addresses are InternalIPs
	PodCIDRs  []netip.Prefix // of its spec
	Flannel   *Flannel       // nil: flannel has written nothing to the node
}

// identities are the addresses by which the cluster knows the node: the first InternalIP of each family. Further ones may be virtual.
func (n *Node) identities() (out []netip.Addr) {
	for _, a := range n.Addresses[:min(n.Internal, len(n.Addresses))] {
		if !slices.ContainsFunc(out, func(b netip.Addr) bool { return a.Is4() == b.Is4() }) {
			out = append(out, a)
		}
	}
	return out
}

// Flannel is what flanneld wrote to its Node (pkg/subnet/kube of flannel): annotations flannel.alpha.coreos.com/...
type Flannel struct {
	Backend string // backend-type
	V4, V6  *VTEP
	Written time.Time // when flanneld last wrote to the node; zero: unknown
	Error   string    // why an annotation makes no sense
}

// VTEP is one end of flannel's vxlan tunnel as the other nodes know it.
type VTEP struct {
	VNI       uint32
	MAC       string     // empty: backend-data has none, as with other backends than vxlan
	Public    netip.Addr // public-ip or public-ipv6
	Overwrite bool       // public-ip-overwrite: an administrator chose the address, which need not be one of the node's
}

// KubeProxy is what the API says of kube-proxy.
type KubeProxy struct {
	DaemonSets []DaemonSet
	Pods       []ProxyPod
}

// DaemonSet is one of kube-proxy.
type DaemonSet struct {
	Name          string // namespace/name
	PriorityClass string
	Desired       int // how many nodes should run its pod
}

// ProxyPod is a pod of kube-proxy.
type ProxyPod struct {
	Name   string // namespace/name
	Node   string // empty: no node has it yet
	Phase  string
	Reason string // why it is not ready
	Ready  bool
	Since  time.Time // of Ready or its lack; zero: unknown
	Owner  string    // DaemonSet's namespace/name; empty for a static pod
	Class  string    // its priority class
}

// Check is one thing that can be wrong with a cluster's pod network.
type Check struct {
	Name  string // kebab-case, permanent
	Title string
	Doc   string // by hand; a tilde stands for the backquote
	Since string

	Severity check.Severity // the highest that it reports
	Needs    []Source       // without any of these it is skipped

	// notApplicable says why there is nothing to judge; empty where there is. It may be nil.
	notApplicable func(*view) string
	partial       func(*view) string // what the reports have no room for, and was not judged; empty where that is nothing. It may be nil.
	run           func(*view) []Finding
}

// Page gives the check as one that renderers know. It cannot be run on a snapshot.
func (c *Check) Page() *check.Check {
	return &check.Check{Name: c.Name, Title: c.Title, Doc: c.Doc, Since: c.Since, Severity: c.Severity}
}

// Finding is one thing that is wrong. On.Name is a node, or the address or range that several have.
type Finding struct {
	check.Finding
	Nodes []string // that it is about, in order; those that have to be mended first
}

// Result is what judging gives, the worst first.
type Result struct {
	Nodes    []State
	Findings []Finding
	Skipped  []check.Skip
	Passed   []string // checks that ran on everything there is, and found nothing
}

// Judge runs all checks.
func Judge(in *Input) *Result {
	v := newView(in)
	r := &Result{Nodes: v.states()}
	left := v.leftOut()
	for _, c := range All() {
		if why := c.lacks(v); why != "" {
			r.Skipped = append(r.Skipped, check.Skip{Check: c.Name, Reason: why})
			continue
		}
		found := c.run(v)
		for i := range found {
			found[i].Check = c.Name
		}
		if r.Findings = append(r.Findings, found...); len(found) == 0 {
			r.Passed = append(r.Passed, c.Name)
		}
		if left != "" && slices.Contains(c.Needs, Reports) && c.Name != NotReported.Name {
			r.Skipped = append(r.Skipped, check.Skip{Check: c.Name, Partial: true, Reason: left})
		}
		if c.partial != nil {
			if why := c.partial(v); why != "" {
				r.Skipped = append(r.Skipped, check.Skip{Check: c.Name, Partial: true, Reason: why})
			}
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Check, b.Check), cmp.Compare(a.On.Name, b.On.Name), cmp.Compare(a.Message, b.Message))
	})
	return r
}

// lacks says why the check cannot be run.
func (c *Check) lacks(v *view) string {
	for _, s := range c.Needs {
		if why, ok := v.in.Missing[s]; ok {
			return "could not read " + string(s) + ": " + why
		}
	}
	if c.notApplicable != nil {
		if why := c.notApplicable(v); why != "" {
			return "not applicable: " + why
		}
	}
	return ""
}

// Of leaves only what is about one node.
func (r *Result) Of(node string) *Result {
	out := &Result{Skipped: r.Skipped, Passed: r.Passed}
	for _, s := range r.Nodes {
		if s.Name == node {
			out.Nodes = append(out.Nodes, s)
		}
	}
	for _, f := range r.Findings {
		if slices.Contains(f.Nodes, node) {
			out.Findings = append(out.Findings, f)
		}
	}
	return out
}

// sorted gives the keys of a map in order.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
