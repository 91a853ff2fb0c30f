package report

import (
	"fmt"
	"io"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
)

// ClusterKind says what the JSON document of a cluster is.
const ClusterKind = "ClusterReport"

// Cluster is the report of a cluster as programs read it. Fields are added, never changed.
type Cluster struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Source     string         `json:"source"` // the API server or the file
	Taken      time.Time      `json:"taken"`
	Summary    ClusterSummary `json:"summary"`
	Nodes      []ClusterNode  `json:"nodes"`    // those to look at first
	Findings   []Finding      `json:"findings"` // of the cluster, worst first; those of the nodes are with the nodes
	Skipped    []Skip         `json:"skipped"`
	Passed     []string       `json:"passed"`

	checks  []*check.Check
	version string
}

// ClusterSummary counts.
type ClusterSummary struct {
	Summary                // the cluster's findings and checks
	Nodes   int            `json:"nodes"`
	States  map[string]int `json:"states"`
	OnNodes Summed         `json:"onNodes"` // findings of all nodes
}

// Summed counts what the nodes report.
type Summed struct {
	Critical int `json:"critical"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
	Mended   int `json:"mended"`
}

// ClusterNode is one node.
type ClusterNode struct {
	Name     string        `json:"name"`
	State    string        `json:"state"`         // proven, faulty, unproven, ...; "no report", "outdated", "unreadable"
	Why      string        `json:"why,omitempty"` // the report is outdated or unreadable
	Mode     string        `json:"mode,omitempty"`
	Critical int           `json:"critical"`
	Warning  int           `json:"warning"`
	Info     int           `json:"info"`
	Mended   int           `json:"mended"`
	Since    time.Time     `json:"since,omitzero"`   // of the state
	Created  time.Time     `json:"created,omitzero"` // the report
	Netmend  string        `json:"netmend,omitempty"`
	Kernel   string        `json:"kernel,omitempty"`
	CNI      string        `json:"cni,omitempty"`
	Proxy    string        `json:"proxyMode,omitempty"`
	Findings []NodeFinding `json:"findings,omitempty"` // its own, as it reports them
}

// NodeFinding is one that a node reports of itself.
type NodeFinding struct {
	Check    string         `json:"check"`
	Severity check.Severity `json:"severity"`
	Object   string         `json:"object"`
	Message  string         `json:"message"`
	Since    time.Time      `json:"since,omitzero"`
	Plan     string         `json:"plan,omitempty"`
}

// ClusterFinding is a finding, with the nodes that it is about.
type ClusterFinding struct {
	check.Finding
	Nodes []string
}

// ClusterInput is what a cluster's report is made of.
type ClusterInput struct {
	Source   string
	Taken    time.Time
	Nodes    []ClusterNode
	Findings []ClusterFinding
	Skipped  []check.Skip
	Passed   []string
	Checks   []*check.Check
	Version  string // of the program
}

// NewCluster makes the document.
func NewCluster(in ClusterInput) *Cluster {
	c := &Cluster{
		APIVersion: APIVersion, Kind: ClusterKind, Source: in.Source, Taken: in.Taken, Nodes: append([]ClusterNode{}, in.Nodes...), Findings: []Finding{}, Skipped: []Skip{},
		Passed: append([]string{}, in.Passed...), checks: in.Checks, version: in.Version,
	}
	r := &check.Report{Skipped: in.Skipped, Passed: in.Passed}
	for _, f := range in.Findings {
		r.Findings = append(r.Findings, f.Finding)
		out := Finding{
			Check: f.Check, Severity: f.Severity, On: f.On, Where: f.On.Name, Nodes: f.Nodes, Message: f.Message, Evidence: append([]check.Evidence{}, f.Evidence...),
			Fixes: []Fix{}, URL: Page(f.Check),
		}
		for _, x := range f.Fixes {
			out.Fixes = append(out.Fixes, Fix{Title: x.Title, Cost: x.Cost, Changes: []fix.Change{}, Commands: append([]string{}, x.Advice...)})
		}
		c.Findings = append(c.Findings, out)
	}
	for _, k := range in.Skipped {
		c.Skipped = append(c.Skipped, Skip{Check: k.Check, Reason: k.Reason, Partial: k.Partial})
	}
	c.Summary = ClusterSummary{Summary: summary(r, c.Skipped), Nodes: len(c.Nodes), States: map[string]int{}}
	for _, n := range c.Nodes {
		s := &c.Summary
		s.States[n.State]++
		s.OnNodes.Critical += n.Critical
		s.OnNodes.Warning += n.Warning
		s.OnNodes.Info += n.Info
		s.OnNodes.Mended += n.Mended
	}
	return c
}

// Worst is the highest severity of a finding, of the cluster or of a node; ok is false where there is none.
func (c *Cluster) Worst() (s check.Severity, ok bool) {
	n := c.Summary
	switch {
	case n.Critical+n.OnNodes.Critical > 0:
		return check.Critical, true
	case n.Warning+n.OnNodes.Warning > 0:
		return check.Warning, true
	}
	return check.Info, n.Info+n.OnNodes.Info > 0
}

// document is the cluster's findings as a document, for what writes those.
func (c *Cluster) document() *Document {
	return &Document{Findings: c.Findings, Skipped: c.Skipped, Passed: c.Passed, Summary: c.Summary.Summary, checks: c.checks, version: c.version}
}

// ClusterFormat is one way to write the report of a cluster.
type ClusterFormat struct {
	Name  string
	Write func(io.Writer, *Cluster, Style) error
}

// ClusterFormats lists every format, the default one first.
func ClusterFormats() []ClusterFormat {
	return []ClusterFormat{
		{"text", writeClusterText},
		{"wide", writeClusterWide},
		{"json", writeClusterJSON},
		{"yaml", writeClusterYAML},
		{"html", writeClusterHTML},
	}
}

// ParseClusterFormat finds a format by its name.
func ParseClusterFormat(name string) (ClusterFormat, error) {
	for _, f := range ClusterFormats() {
		if f.Name == name {
			return f, nil
		}
	}
	return ClusterFormat{}, fmt.Errorf("unknown format %q: one of text, wide, json, yaml, html", name)
}
