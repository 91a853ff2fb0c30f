package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// TestClusterNamesTheSender is incident (c) on a cluster: one node counts bad checksums, and another one, which is named by the reports of both, sends them.
func TestClusterNamesTheSender(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, before string }{{"without connection tracking at the receiver", "nft flush ruleset"}, {"with it", "true"}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, end := badChecksums(t, tt.before)
			receiver := clusterObjects(t, f.Nodes[1], "192.0.2.2", "--window", "4s")
			sender := clusterObjects(t, f.Nodes[0], "192.0.2.1", "--window", "1s")
			end()
			want := []string{"cluster-bad-checksums critical " + f.Nodes[0].Name}
			if d := cmp.Diff(want, clusterFindings(t, sender, receiver)); d != "" {
				t.Errorf("findings (-want +got):\n%s\n%s\n%s", d, sender, receiver)
			}
			// Mended, the sender's connection tracking still knows what it translated.
			f.Nodes[0].Type("ip netns exec " + f.Nodes[0].Name + " ethtool -K " + f.Dev + " tx-checksum-ip-generic off")
			f.Nodes[1].Type("ip netns exec " + f.Nodes[1].Name + " ethtool -K " + f.Dev + " tx-checksum-ip-generic off")
			sender, receiver = clusterObjects(t, f.Nodes[0], "192.0.2.1", "--window", "1s"), clusterObjects(t, f.Nodes[1], "192.0.2.2", "--window", "1s")
			if d := cmp.Diff([]string(nil), clusterFindings(t, sender, receiver)); d != "" {
				t.Errorf("findings when it is mended (-want +got):\n%s", d)
			}
		})
	}
}

// clusterObjects are the report that a node would write now, and its Node.
func clusterObjects(t *testing.T, n *lab.Node, address string, args ...string) []byte {
	t.Helper()
	cmd := lab.Netmendctl(append([]string{"snapshot", "--netns", n.Path, "--root", n.Root}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, errs.String())
	}
	s, err := facts.Decode(&out)
	if err != nil {
		t.Fatal(err)
	}
	var m nodereport.Memory
	d := &status.Document{Node: n.Name, Mode: "audit", State: status.Proven, Ready: true, At: s.Taken, Started: s.Taken}
	m.See(d, s)
	r := nodereport.Report{APIVersion: nodereport.APIVersion, Kind: nodereport.Kind, Metadata: nodereport.Metadata{Name: n.Name}, Status: nodereport.From(d, s, &m)}
	report, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Appendf(nil, `%s
{"apiVersion":"v1","kind":"Node","metadata":{"name":%q},"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":%q}]}}
`, report, n.Name, address)
}

// clusterFindings are what netmendctl cluster finds in the objects, a line for each.
func clusterFindings(t *testing.T, objects ...[]byte) (out []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.json")
	if err := os.WriteFile(file, bytes.Join(objects, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := lab.Netmendctl("cluster", "--from", file, "-o", "json", "--fail-on", "critical").Output()
	var d struct {
		Findings []struct{ Check, Severity, Where string }
	}
	if bad := json.Unmarshal(text, &d); bad != nil {
		t.Fatalf("%v, %v: %s", err, bad, text)
	}
	for _, f := range d.Findings {
		out = append(out, f.Check+" "+f.Severity+" "+f.Where)
	}
	return out
}
