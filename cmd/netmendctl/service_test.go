package main

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
)

const servicesFile = `apiVersion: v1
items:
- kind: Service
  metadata: {name: web, namespace: shop}
  spec: {type: ClusterIP, clusterIPs: [10.96.4.4], ports: [{name: http, port: 80, protocol: TCP}]}
- kind: Service
  metadata: {name: db, namespace: shop}
  spec: {type: ClusterIP, clusterIPs: [None], ports: [{port: 5432}]}
- kind: Service
  metadata: {name: far, namespace: shop}
  spec: {type: ExternalName}
- kind: EndpointSlice
  addressType: IPv4
  metadata: {name: web-x, namespace: shop, labels: {kubernetes.io/service-name: web}}
  ports: [{name: http, port: 8080, protocol: TCP}]
  endpoints: [{addresses: [10.244.1.5]}, {addresses: [10.244.2.5]}]
kind: List
`

// serviceEnv is a node whose rules lead to these backends of shop/web, of which those that end in .5 answer.
func serviceEnv(t *testing.T, backends []string, args ...string) *testEnv {
	t.Helper()
	file := filepath.Join(t.TempDir(), "services.yaml")
	if err := os.WriteFile(file, []byte(servicesFile), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "FILE", file)
	}
	e := newTestEnv(t, args...)
	e.now = time.Now
	e.collect = func(_ context.Context, s audit.Source) (*facts.Snapshot, error) {
		e.source = s
		n := testNode(s)
		n.Proxy = &facts.Proxy{Mode: facts.ModeIPTables}
		path := facts.ServicePath{Name: "shop/web:http", Kind: facts.FrontCluster, Family: 4, VIP: netip.MustParseAddr("10.96.4.4"), Port: 80, Protocol: "tcp",
			Trace: []string{"nat KUBE-SERVICES", "chain KUBE-SVC-X"}}
		for _, b := range backends {
			path.Backends = append(path.Backends, facts.ServiceBackend{Addr: netip.MustParseAddrPort(b), Weight: 1})
		}
		n.ServiceRules = &facts.ServiceRules{Mode: facts.ModeIPTables, Families: []int{4}, Paths: []facts.ServicePath{path}, Ahead: []facts.AheadRule{
			{Family: 4, Hook: facts.HookPrerouting, Where: "nat PREROUTING rule 1", Dst: netip.MustParsePrefix("10.96.4.4/32"), Does: facts.AheadTranslates, To: netip.MustParseAddrPort("10.0.0.1:80")},
			{Family: 4, Hook: facts.HookPrerouting, Where: "nat PREROUTING rule 2", Dst: netip.MustParsePrefix("10.96.4.5/32"), Does: facts.AheadAccepts},
		}}
		return n, nil
	}
	e.dial = func(_ context.Context, _ audit.Source, to []netip.AddrPort, _ time.Duration) (out []audit.Attempt, _ error) {
		for _, a := range to {
			attempt := audit.Attempt{To: a, Took: 1500 * time.Microsecond}
			if !strings.HasSuffix(a.Addr().String(), ".5") && a.Port() != 80 {
				attempt.Err = syscall.ECONNREFUSED
			}
			out = append(out, attempt)
		}
		return out, nil
	}
	return e
}

func TestService(t *testing.T) {
	right, wrong := []string{"10.244.1.5:8080", "10.244.2.5:8080"}, []string{"10.244.1.5:8080", "10.244.3.9:8080"}
	for _, tt := range []struct {
		name     string
		backends []string
		args     []string
		code     int
		says     []string // in the output, or in the one line of errors
	}{
		{"equal", right, []string{"shop/web", "--services", "FILE"}, 0,
			[]string{"shop/web:http  cluster  10.96.4.4:80/tcp", "wanted   10.244.1.5:8080, 10.244.2.5:8080", "  ahead    nat PREROUTING rule 1 translates packets to 10.96.4.4/32 into 10.0.0.1:80\n  rules    nat KUBE-SERVICES", "connect  10.96.4.4:80             1.5 ms  the Service's address"}},
		{"one port", right, []string{"shop/web:80", "--services", "FILE"}, 0, []string{"10.96.4.4:80/tcp"}},
		{"by address", right, []string{"10.96.4.4:80/tcp", "--services", "FILE"}, 0, []string{"shop/web:http"}},
		{"other backends", wrong, []string{"shop/web", "--services", "FILE"}, 1,
			[]string{"differs  10.244.3.9:8080 gets connections and should get none", "10.244.2.5:8080 should get connections and gets none", "refused  should get no connections"}},
		{"without the cluster", right, []string{"shop/web", "--connect", "0"}, 0, []string{"held     10.244.1.5:8080", "--services FILE"}},
		{"no such Service", right, []string{"shop/none", "--services", "FILE"}, 2, []string{"have such a Service"}},
		{"no such address", right, []string{"10.96.4.4:81"}, 2, []string{"no rule of this node is of it"}},
		{"headless", right, []string{"shop/db", "--services", "FILE"}, 2, []string{"is headless"}},
		{"external name", right, []string{"shop/far", "--services", "FILE"}, 2, []string{"ExternalName"}},
		{"no name", right, []string{"web"}, 2, []string{"neither NAMESPACE/NAME nor ADDRESS:PORT"}},
		{"protocol", right, []string{"10.96.4.4:80/icmp"}, 2, []string{"tcp, udp or sctp"}},
		{"no argument", right, nil, 2, []string{"it takes one Service"}},
		{"no file", right, []string{"shop/web", "--services", "/nonexistent"}, 2, []string{"--services"}},
		{"format", right, []string{"shop/web", "-o", "xml"}, 2, []string{"unknown format"}},
		{"time", right, []string{"shop/web", "--connect", "2h"}, 2, []string{"--connect"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := serviceEnv(t, tt.backends, append([]string{"service"}, tt.args...)...)
			if code := run(context.Background(), e.env); code != tt.code {
				t.Errorf("run = %d; want %d: %s%s", code, tt.code, e.out.String(), e.err.String())
			}
			for _, text := range tt.says {
				if !strings.Contains(e.out.String()+e.err.String(), text) {
					t.Errorf("no %q in\n%s%s", text, e.out.String(), e.err.String())
				}
			}
		})
	}
	e := serviceEnv(t, wrong, "service", "shop/web", "--services", "FILE", "-o", "json")
	run(context.Background(), e.env)
	var doc serviceDoc
	if err := json.Unmarshal(e.out.Bytes(), &doc); err != nil || len(doc.Ways) != 1 || len(doc.Ways[0].Connects) != 4 || doc.Kind != "ServiceReport" {
		t.Errorf("-o json: %v: %s", err, e.out.String())
	}
	e = serviceEnv(t, right, "__complete", "service", "--services", "FILE", "")
	if run(context.Background(), e.env); !strings.Contains(e.out.String(), "shop/web\tClusterIP") {
		t.Errorf("completion: %s", e.out.String())
	}
}
