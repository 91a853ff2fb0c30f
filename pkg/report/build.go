package report

import (
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// Input is what a report is made of. Nothing of it is changed.
type Input struct {
	Snapshot *facts.Snapshot
	Report   *check.Report
	Checks   []*check.Check                        // those that were run
	Unasked  func(f check.Finding, index int) bool // whether that fix may be made without a person asking for it; nil: none may
	Version  string                                // of the program
}

// New makes the document.
func New(in Input) *Document {
	s := in.Snapshot
	d := &Document{
		APIVersion: APIVersion, Kind: Kind, Node: node(s), Taken: s.Taken, Note: s.Note,
		Findings: []Finding{}, Skipped: []Skip{}, Passed: append([]string{}, in.Report.Passed...),
		snapshot: s, checks: in.Checks, version: in.Version,
	}
	if s.Window != nil {
		d.Window = s.Window.Seconds
	}
	for _, f := range in.Report.Findings {
		d.Findings = append(d.Findings, finding(in, f))
	}
	for _, k := range in.Report.Skipped {
		d.Skipped = append(d.Skipped, Skip{Check: k.Check, Reason: k.Reason, Partial: k.Partial, On: k.On})
	}
	d.Summary = summary(in.Report, d.Skipped)
	return d
}

func summary(r *check.Report, skipped []Skip) Summary {
	s := Summary{Critical: r.Count(check.Critical), Warning: r.Count(check.Warning), Info: r.Count(check.Info), Passed: len(r.Passed)}
	partial := map[string]bool{}
	for _, k := range skipped {
		switch k.extent() {
		case judgedInPart:
			partial[k.Check] = true
		case notApplicable:
			s.NotApplicable++
			s.Skipped++
		default:
			s.Skipped++
		}
	}
	s.Partial = len(partial)
	return s
}

func finding(in Input, f check.Finding) Finding {
	out := Finding{
		Check: f.Check, Severity: f.Severity, On: f.On, Where: Where(in.Snapshot, f.On), Message: f.Message,
		Evidence: append([]check.Evidence{}, f.Evidence...), Fixes: []Fix{}, URL: Page(f.Check),
	}
	for i, x := range f.Fixes {
		out.Fixes = append(out.Fixes, Fix{
			Title: x.Title, Cost: x.Cost, Auto: in.Unasked != nil && in.Unasked(f, i), Changes: append([]fix.Change{}, x.Changes...),
			Commands: append([]string{}, fix.Commands(in.Snapshot, x)...),
		})
	}
	return out
}

// Where says in words which object a reference is: its name, and for one of a pod the namespace with a path, a process or the inode number that tells it.
func Where(s *facts.Snapshot, on facts.Ref) string {
	if on == (facts.Ref{}) || on.NetNS == s.Host.Inode && on.Name == "" {
		return "the node"
	}
	ns := s.Namespace(on.NetNS)
	if ns == &s.Host || on.NetNS == 0 {
		return on.Name
	}
	pod := "namespace " + strconv.FormatUint(on.NetNS, 10)
	if ns != nil {
		pod = nameNamespace(ns)
	}
	if on.Name == "" || ns != nil && on.Name == ns.Path {
		return pod
	}
	return on.Name + " in " + pod
}

func nameNamespace(ns *facts.Namespace) string {
	name := ns.Path
	if name == "" {
		name = "namespace " + strconv.FormatUint(ns.Inode, 10)
	}
	var process []string
	if ns.Comm != "" {
		process = append(process, ns.Comm)
	}
	if ns.PID != 0 {
		process = append(process, "pid "+strconv.Itoa(ns.PID))
	}
	if len(process) > 0 {
		name += " (" + strings.Join(process, ", ") + ")"
	}
	return name
}

func node(s *facts.Snapshot) Node {
	n := Node{Name: s.Node.Name, Kernel: s.Node.Kernel, Distribution: s.Node.Distribution, Privileged: s.Node.Privileged, Pods: len(s.Pods)}
	if s.Proxy != nil {
		n.ProxyMode = s.Proxy.Mode
		if s.Proxy.Replaced != "" {
			n.ProxyMode = "replaced by " + s.Proxy.Replaced
		}
	}
	if s.CNI == nil {
		return n
	}
	for _, f := range s.CNI.Files {
		if f.Error != "" {
			continue
		}
		var types []string
		for _, p := range f.Plugins {
			types = append(types, p.Type)
		}
		n.CNI = strings.TrimSpace(f.Network + " (" + strings.Join(types, ", ") + ")")
		break
	}
	return n
}
