package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// twoNodes is what kubectl get nodenetworkreports,nodes -o yaml writes: node1 sends what node2 drops, and node3 has told nothing.
const twoNodes = `apiVersion: v1
kind: List
items:
- kind: NodeNetworkReport
  metadata: {name: node1, creationTimestamp: 2024-05-01T00:00:00Z}
  status: {state: faulty, critical: 1, mode: audit, since: 2024-05-06T07:00:00Z, versions: {netmend: v0.1.0, kernel: "6.1"}, findings: [{check: tunnel-tx-checksum, severity: critical, object: flannel.1, message: NAT spoils it}], network: {uplinks: [{name: eth0, mtu: 1500, addresses: [192.0.2.1/24]}], tunnels: [{name: flannel.1, kind: vxlan, id: 1, port: 8472, local: 192.0.2.1, mtu: 1450, txChecksum: true, translated: [192.0.2.2]}]}}
- kind: NodeNetworkReport
  metadata: {name: node2}
  status: {state: proven, versions: {netmend: v0.1.0, kernel: "6.1"}, network: {uplinks: [{name: eth0, mtu: 1500, addresses: [192.0.2.2/24]}], tunnels: [{name: flannel.1, kind: vxlan, id: 1, port: 8472, local: 192.0.2.2, mtu: 1450, txChecksum: true, badChecksums: true}]}}
- {kind: Node, metadata: {name: node1, creationTimestamp: 2024-05-01T00:00:00Z}, status: {conditions: [{type: Ready, status: "True"}], addresses: [{type: InternalIP, address: 192.0.2.1}]}}
- {kind: Node, metadata: {name: node2, creationTimestamp: 2024-05-01T00:00:00Z}, status: {conditions: [{type: Ready, status: "True"}], addresses: [{type: InternalIP, address: 192.0.2.2}]}}
- {kind: Node, metadata: {name: node3, creationTimestamp: 2024-05-01T00:00:00Z}, status: {conditions: [{type: Ready, status: "True"}], addresses: [{type: InternalIP, address: 192.0.2.3}]}}
`

const oneNode = `{"kind":"NodeNetworkReport","metadata":{"name":"node1"},"status":{"state":"proven","warning":1}}`

func TestCluster(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	two, one := write("two.yaml", twoNodes), write("one.json", oneNode)
	config := write("config", `{current-context: a, contexts: [{name: a, context: {cluster: k, user: u}}, {name: b, context: {cluster: k, user: v}}], clusters: [{name: k, cluster: {server: "https://192.0.2.1:1"}}],
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: ./gone, interactiveMode: Never}}}, {name: v, user: {auth-provider: {name: x}}}]}`)
	for _, tt := range []struct {
		name string
		args []string
		code int
		want string // in what it writes, or says
	}{
		{"text", []string{"--from", two}, 1, "node1 sends packets of flannel.1 with bad outer checksums, and node2 drops them"},
		{"not judged", []string{"--from", two}, 1, "cluster-kube-proxy: could not read kube-proxy"},
		{"wide", []string{"--from", two, "-o", "wide"}, 1, "node3  no report"},
		{"html", []string{"--from", two, "-o", "html"}, 1, "<table class=\"nodes\">"},
		{"yaml", []string{"--from", two, "-o", "yaml"}, 1, "kind: ClusterReport"},
		{"one node", []string{"--from", two, "--node", "node1"}, 1, "OF THE NODE ITSELF"},
		{"one fine node", []string{"--from", two, "--node", "node2", "--fail-on", "critical"}, 1, "node2 drops them"},
		{"no such node", []string{"--from", two, "--node", "node9"}, 2, `no report "node9"`},
		{"a node's own finding", []string{"--from", one}, 1, ""},
		{"below the bound", []string{"--from", one, "--fail-on", "critical"}, 0, ""},
		{"quiet", []string{"--from", two, "-q"}, 1, ""},
		{"format", []string{"--from", two, "-o", "sarif"}, 2, "unknown format"},
		{"severity", []string{"--from", two, "--fail-on", "x"}, 2, "one of info, warning, critical"},
		{"no file", []string{"--from", filepath.Join(dir, "none")}, 2, "no such file"},
		{"directory", []string{"--from", dir}, 2, "is a directory"},
		{"file and cluster", []string{"--from", two, "--context", "x"}, 2, "does not go with"},
		{"no cluster", nil, 2, "no cluster is known"},
		{"no kubeconfig", []string{"--kubeconfig", filepath.Join(dir, "none")}, 2, "no such file"},
		{"context", []string{"--kubeconfig", config, "--context", "z"}, 2, `no context "z"`},
		{"login", []string{"--kubeconfig", config}, 2, "log in by " + filepath.Join(dir, "gone")},
		{"old login", []string{"--kubeconfig", config, "--context", "b"}, 2, "auth-provider"},
		{"time", []string{"--from", two, "--timeout", "0"}, 2, "more than 0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := newTestEnv(t, append([]string{"cluster"}, tt.args...)...)
			e.environ = os.Environ
			if code := run(context.Background(), e.env); code != tt.code {
				t.Errorf("run = %d; want %d: %s", code, tt.code, e.err.String())
			}
			if text := e.out.String() + e.err.String(); !strings.Contains(text, tt.want) || tt.code == 2 && e.out.Len() > 0 {
				t.Errorf("it writes\n%.3000s\nwant %q", text, tt.want)
			}
		})
	}
}

func TestClusterJSON(t *testing.T) {
	e := newTestEnv(t, "cluster", "--from", "-", "-o", "json")
	e.in = strings.NewReader(twoNodes)
	if code := run(context.Background(), e.env); code != 1 {
		t.Fatalf("run = %d: %s", code, e.err.String())
	}
	var d struct {
		APIVersion, Kind, Source string
		Summary                  struct {
			Critical, Nodes int
			States          map[string]int
		}
		Findings []struct {
			Check string
			Nodes []string
			URL   string
		}
	}
	if err := json.Unmarshal(e.out.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if d.APIVersion != "netmend.io/v1alpha1" || d.Kind != "ClusterReport" || d.Source != "standard input" || d.Summary.Nodes != 3 || d.Summary.States["no report"] != 1 {
		t.Errorf("the document is %+v", d)
	}
	if f := d.Findings[0]; f.Check != "cluster-bad-checksums" || strings.Join(f.Nodes, " ") != "node1 node2" || !strings.HasSuffix(f.URL, "/docs/checks/cluster-bad-checksums.md") {
		t.Errorf("the first finding is %+v", f)
	}
}

// TestPlugin calls the program as kubectl does.
func TestPlugin(t *testing.T) {
	path := filepath.Join(t.TempDir(), "two.yaml")
	if err := os.WriteFile(path, []byte(twoNodes), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		program string
		args    []string
		code    int
		want    string
	}{
		{"kubectl-netmend", []string{"--from", path}, 1, "cluster-bad-checksums"},
		{"kubectl-netmend.exe", []string{"--from", path}, 1, "cluster-bad-checksums"},
		{"kubectl-netmend", []string{"cluster", "--from", path}, 1, "cluster-bad-checksums"},
		{"kubectl-netmend", []string{"explain", "cluster-mtu"}, 0, "# cluster-mtu"},
		{"kubectl-netmend", []string{"--help"}, 0, "netmendctl cluster [flags]"},
		{"kubectl-netmend", nil, 2, "kubectl netmend: cluster: no cluster is known"},
		{"kubectl_complete-netmend", []string{"--fail-on", ""}, 0, "warning\n"},
		{"netmendctl", []string{"--from", path}, 2, "netmendctl: netmendctl: unknown flag"},
	} {
		e := newTestEnv(t, tt.args...)
		e.name = tt.program
		if code := run(context.Background(), e.env); code != tt.code || !strings.Contains(e.out.String()+e.err.String(), tt.want) {
			t.Errorf("%s %v = %d:\n%s%s\nwant %d and %q", tt.program, tt.args, code, e.out.String(), e.err.String(), tt.code, tt.want)
		}
	}
}

func TestClusterCompletesContexts(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte(`{contexts: [{name: prod}, {name: lab}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	e := newTestEnv(t, "__complete", "cluster", "--kubeconfig", config, "--context", "")
	if code := run(context.Background(), e.env); code != 0 || !strings.HasPrefix(e.out.String(), "prod\nlab\n") {
		t.Errorf("completion = %d %q; want the contexts", code, e.out.String())
	}
}

func TestClusterProgress(t *testing.T) {
	var b bytes.Buffer
	p := newProgress(&env{err: &b})
	p.count(300)
	p.count(200)
	p.reading("the cluster", 3e9)
	p.clear()
	if got, want := b.String(), "\r\x1b[Kreading the cluster: 3s, 300 objects\r\x1b[K"; got != want {
		t.Errorf("progress is %q; want %q", got, want)
	}
}

var update = flag.Bool("update", false, "write the example of docs/cluster.md")

// TestClusterExample holds that the example of the documentation is what the program says of testdata/cluster.yaml.
func TestClusterExample(t *testing.T) {
	e := newTestEnv(t, "cluster", "--from", "testdata/cluster.yaml")
	if code := run(context.Background(), e.env); code != 1 {
		t.Fatalf("run = %d: %s", code, e.err.String())
	}
	const page, begin, end = "../../docs/cluster.md", "<!-- example -->\n", "<!-- /example -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	want := before + begin + "```\n" + strings.ReplaceAll(e.out.String(), "cluster testdata/cluster.yaml", "cluster https://192.0.2.100:6443") + "```\n" + end + after
	switch {
	case !ok || !ok2:
		t.Fatalf("%s has no place for the example", page)
	case *update:
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	case want != string(text):
		t.Errorf("%s is stale (-want +got; go test ./cmd/netmendctl -run TestClusterExample -update writes it):\n%s", page, cmp.Diff(want, string(text)))
	}
}
