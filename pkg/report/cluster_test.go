package report

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// clusterOf is a cluster with a few faulty nodes before many fine ones.
func clusterOf(fine int) *Cluster {
	taken := time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC)
	in := ClusterInput{
		Source: "https://192.0.2.1:6443", Taken: taken, Version: "v0.1.0", Passed: []string{"cluster-duplicate-ip", "cluster-versions"},
		Nodes: []ClusterNode{
			{Name: "node1", State: "faulty", Mode: "audit", Critical: 1, Warning: 2, Since: taken.Add(-5 * time.Minute), Created: taken.Add(-72 * time.Hour), Netmend: "v0.1.0", Kernel: "6.1.0", CNI: "cbr0", Proxy: "iptables",
				Findings: []NodeFinding{{Check: "tunnel-tx-checksum", Severity: check.Critical, Object: "flannel.1", Message: "source NAT rewrites packets", Since: taken.Add(-5 * time.Minute), Plan: "mode audit: nothing is done"}}},
			{Name: "node2", State: "no report", Kernel: "6.1.0"},
			{Name: "node3", State: "outdated", Why: "the node is not ready, so nobody knows what it is now", Mode: "fix", Mended: 1, Since: taken.Add(-time.Hour), Created: taken.Add(-3 * time.Hour), Netmend: "v0.1.0", Kernel: "6.1.0", CNI: "cbr0", Proxy: "iptables"},
		},
		Findings: []ClusterFinding{{Nodes: []string{"node1", "node4"}, Finding: check.Finding{
			Check: "cluster-bad-checksums", Severity: check.Critical, On: facts.Ref{Name: "node1"}, Message: "node1 sends packets of flannel.1 with bad outer checksums, and node4 drops them",
			Evidence: []check.Evidence{{Fact: "bad checksums at vxlan port 8472", Got: "counted by node4", Want: "none"}},
			Fixes:    []fix.Fix{{Title: "on node1, switch the transmit checksum offload of flannel.1 off", Cost: "the processor sums up", Advice: []string{"ethtool -K flannel.1 tx-checksum-ip-generic off"}}},
		}}, {Nodes: []string{"node2"}, Finding: check.Finding{Check: "cluster-not-reported", Severity: check.Warning, On: facts.Ref{Name: "node2"}, Message: "node2 told nothing of the network"}}},
		Skipped: []check.Skip{{Check: "cluster-kube-proxy", Reason: "could not read kube-proxy: 403 Forbidden"}, {Check: "cluster-mtu", Partial: true, Reason: "1 node has no report"}},
		Checks:  []*check.Check{{Name: "cluster-bad-checksums", Title: "A node sends bad checksums", Doc: "What **breaks**, and ~how~.\n", Since: "v0.1.0", Severity: check.Critical}},
	}
	for i := range fine {
		in.Nodes = append(in.Nodes, ClusterNode{Name: fmt.Sprintf("node%d", i+4), State: "proven", Mode: "audit", Info: 1, Since: taken.Add(-time.Hour), Created: taken.Add(-90 * time.Second), Netmend: "v0.1.0", Kernel: "6.1.0", CNI: "cbr0", Proxy: "iptables"})
	}
	return NewCluster(in)
}

func TestClusterFormats(t *testing.T) {
	for _, f := range ClusterFormats() {
		var b bytes.Buffer
		if err := f.Write(&b, clusterOf(2), Style{Width: 100}); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		golden(t, "cluster."+f.Name, b.Bytes())
		if got, err := ParseClusterFormat(f.Name); err != nil || got.Name != f.Name {
			t.Errorf("ParseClusterFormat(%s) = %s, %v", f.Name, got.Name, err)
		}
	}
	if _, err := ParseClusterFormat("sarif"); err == nil || !strings.Contains(err.Error(), "one of text, wide, json, yaml, html") {
		t.Errorf("ParseClusterFormat(sarif): %v", err)
	}
}

// TestClusterNodeByNode compares what is written node by node with what is written at once.
func TestClusterNodeByNode(t *testing.T) {
	for _, nodes := range []int{0, 1, 5} {
		c := clusterOf(2)
		c.Nodes = c.Nodes[:nodes]
		c.Source = "\n  \"nodes\": []\nnodes: []"
		var one, all bytes.Buffer
		if err := errors.Join(writeClusterJSON(&one, c, Style{}), encode(&all, c)); err != nil || one.String() != all.String() {
			t.Errorf("JSON of %d nodes differs, %v:\n%s", nodes, err, cmp.Diff(all.String(), one.String()))
		}
		one.Reset()
		text, err := toYAML(c)
		if err := errors.Join(err, writeClusterYAML(&one, c, Style{})); err != nil || one.String() != string(text) {
			t.Errorf("YAML of %d nodes differs, %v:\n%s", nodes, err, cmp.Diff(string(text), one.String()))
		}
	}
}

func TestClusterLeavesOutFineNodes(t *testing.T) {
	var text, wide bytes.Buffer
	c := clusterOf(500)
	if err := writeClusterText(&text, c, Style{}); err != nil {
		t.Fatal(err)
	}
	if err := writeClusterWide(&wide, c, Style{}); err != nil {
		t.Fatal(err)
	}
	if got := text.String(); strings.Count(got, "\n") > 60 || !strings.Contains(got, "and 500 proven nodes without findings") || !strings.Contains(got, "500 proven") {
		t.Errorf("text of 503 nodes:\n%s", got)
	}
	if n := strings.Count(wide.String(), "proven"); n != 500 {
		t.Errorf("the wide table has %d proven nodes; want 500", n)
	}
}

func TestClusterOfOneNode(t *testing.T) {
	c := clusterOf(0)
	c.Nodes = c.Nodes[:1]
	var b bytes.Buffer
	if err := writeClusterText(&b, c, Style{}); err != nil || !strings.Contains(b.String(), "tunnel-tx-checksum · flannel.1") || !strings.Contains(b.String(), "mode audit: nothing is done") {
		t.Errorf("text of one node, %v:\n%s", err, b.String())
	}
}

func TestClusterWorst(t *testing.T) {
	c := NewCluster(ClusterInput{})
	if _, found := c.Worst(); found {
		t.Error("an empty cluster has a finding")
	}
	for _, tt := range []struct {
		node ClusterNode
		want check.Severity
	}{{ClusterNode{Critical: 1}, check.Critical}, {ClusterNode{Warning: 1}, check.Warning}, {ClusterNode{Info: 1}, check.Info}} {
		if got, found := NewCluster(ClusterInput{Nodes: []ClusterNode{tt.node}}).Worst(); !found || got != tt.want {
			t.Errorf("Worst of %+v = %s, %v; want %s", tt.node, got, found, tt.want)
		}
	}
}

// TestHostileCluster writes names that a stranger chose.
func TestHostileCluster(t *testing.T) {
	const evil = "\x1b[31m<script>alert(1)</script>\u202e\n"
	c := NewCluster(ClusterInput{
		Source: evil, Nodes: []ClusterNode{{Name: evil, State: evil, Why: evil, Netmend: evil, Kernel: evil, CNI: evil, Proxy: evil, Mode: evil, Findings: []NodeFinding{{Check: evil, Object: evil, Message: evil, Plan: evil}}}},
		Findings: []ClusterFinding{{Nodes: []string{evil}, Finding: check.Finding{Check: "cluster-mtu", On: facts.Ref{Name: evil}, Message: evil, Evidence: []check.Evidence{{Fact: evil, Got: evil, Want: evil}}, Fixes: []fix.Fix{{Title: evil, Advice: []string{evil}}}}}},
		Skipped:  []check.Skip{{Check: evil, Reason: evil}}, Passed: []string{evil}, Version: evil,
	})
	for _, f := range ClusterFormats() {
		var b bytes.Buffer
		if err := f.Write(&b, c, Style{Width: 80}); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		text := b.String()
		bad := strings.Contains(text, "\x1b") || f.Name == "html" && strings.Contains(text, "<script>alert")
		if f.Name != "yaml" { // whose library writes characters of direction as they are, within quotes
			bad = bad || strings.Contains(text, "\u202e")
		}
		if bad {
			t.Errorf("%s lets through what a stranger wrote: %.2000q", f.Name, text[max(0, len(text)-2000):])
		}
	}
}
