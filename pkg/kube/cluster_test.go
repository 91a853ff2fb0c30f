package kube

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/cluster"
)

const clusterText = `apiVersion: v1
kind: List
items:
- apiVersion: netmend.io/v1alpha1
  kind: NodeNetworkReport
  metadata: {name: node1}
  status: {state: proven, mode: audit, versions: {netmend: v1, kernel: "6.1"}, network: {podCIDRs: [10.244.0.0/24], uplinks: [{name: eth0, mtu: 1500, addresses: [192.0.2.1/24]}]}}
- apiVersion: netmend.io/v1alpha1
  kind: NodeNetworkReport
  metadata: {name: node2}
  status: {state: proven, network: {podCIDRs: [10.244.0.0/2444]}}
- apiVersion: v1
  kind: Node
  metadata:
    name: node1
    uid: u1
    creationTimestamp: 2024-05-01T00:00:00Z
    annotations:
      flannel.alpha.coreos.com/backend-type: vxlan
      flannel.alpha.coreos.com/backend-data: '{"VNI":1,"VtepMAC":"02:00:00:00:00:01"}'
      flannel.alpha.coreos.com/public-ip: 192.0.2.1
      flannel.alpha.coreos.com/public-ip-overwrite: 203.0.113.1
      flannel.alpha.coreos.com/backend-v6-data: nonsense
    managedFields: [{manager: kubelet, time: 2024-05-06T00:00:00Z}, {manager: flanneld, time: 2024-05-02T00:00:00Z}]
  spec: {podCIDR: 10.244.0.0/24}
  status:
    addresses: [{type: Hostname, address: node1}, {type: ExternalIP, address: 203.0.113.1}, {type: InternalIP, address: 192.0.2.1}]
    conditions: [{type: Ready, status: "True"}]
    nodeInfo: {operatingSystem: linux, kernelVersion: "6.1"}
`

const proxyText = `---
apiVersion: v1
kind: Pod
metadata: {name: kube-proxy-x, namespace: kube-system, labels: {k8s-app: kube-proxy}, ownerReferences: [{kind: DaemonSet, name: kube-proxy}]}
spec: {nodeName: node1}
status: {phase: Running, conditions: [{type: Ready, status: "True", lastTransitionTime: 2024-05-01T00:00:00Z}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-proxy, namespace: kube-system, labels: {k8s-app: kube-proxy}}
spec: {template: {spec: {priorityClassName: system-node-critical}}}
status: {desiredNumberScheduled: 3}
`

func TestDecodeClusterFile(t *testing.T) {
	now := time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC)
	in, err := DecodeClusterFile(strings.NewReader(clusterText+proxyText), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []cluster.Node{{
		Name: "node1", UID: "u1", Created: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC), Ready: true, OS: "linux", Kernel: "6.1", Internal: 1,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("203.0.113.1")}, PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24")},
		Flannel: &cluster.Flannel{
			Backend: "vxlan", Written: time.Date(2024, 5, 2, 0, 0, 0, 0, time.UTC), Error: `backend-data "nonsense" is no JSON of flannel's`,
			V4: &cluster.VTEP{VNI: 1, MAC: "02:00:00:00:00:01", Public: netip.MustParseAddr("192.0.2.1"), Overwrite: true},
		},
	}}
	compare := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
	prefix := cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })
	if d := cmp.Diff(want, in.Nodes, compare, prefix); d != "" {
		t.Errorf("nodes (-want +got):\n%s", d)
	}
	proxy := cluster.KubeProxy{
		DaemonSets: []cluster.DaemonSet{{Name: "kube-system/kube-proxy", PriorityClass: "system-node-critical", Desired: 3}},
		Pods:       []cluster.ProxyPod{{Name: "kube-system/kube-proxy-x", Node: "node1", Phase: "Running", Ready: true, Since: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC), Owner: "kube-system/kube-proxy"}},
	}
	if d := cmp.Diff(proxy, in.Proxy); d != "" {
		t.Errorf("kube-proxy (-want +got):\n%s", d)
	}
	if len(in.Reports) != 1 || len(in.Missing) != 0 || !strings.Contains(in.Broken["node2"], "10.244.0.0/2444") {
		t.Errorf("%d reports, missing %v, broken %v; want node1's, nothing, node2 with the reason", len(in.Reports), in.Missing, in.Broken)
	}

	in, err = DecodeClusterFile(strings.NewReader(clusterText), now)
	if err != nil || in.Missing[cluster.Proxy] == "" || in.Missing[cluster.Nodes] != "" {
		t.Errorf("without kube-proxy: missing %v, %v", in.Missing, err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "it is empty"},
		{"no report", proxyText, "it has no NodeNetworkReport"},
		{"no name", "kind: NodeNetworkReport\nmetadata: {}", "a report without a name"},
		{"a bad Node", clusterText + "- kind: Node\n  metadata: {name: nx}\n  spec: {podCIDR: x}\n", "node nx: no address range"},
		{"half", `{"kind":"List","items":[{"kind":"Node"`, "ends in the middle"},
	} {
		if _, err := DecodeClusterFile(strings.NewReader(tt.text), now); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want an error with %q", tt.name, err, tt.want)
		}
	}
	large := `{"kind":"NodeNetworkReport","metadata":{"name":"n"},"status":{"mode":"` + strings.Repeat("x", maxReport) + `"}}`
	if in, err := DecodeClusterFile(strings.NewReader(large), now); err != nil || !strings.Contains(in.Broken["n"], "the most is") {
		t.Errorf("a large report: %v; want it told, and no error", err)
	}
}

// TestReadClusterErrors is an API server that refuses and fails, which a real one does not at will.
func TestReadClusterErrors(t *testing.T) {
	list := func(items string) string { return `{"metadata":{"resourceVersion":"7"},"items":[` + items + `]}` }
	report := `{"metadata":{"name":"node1"},"status":{"state":"proven"}}`
	for _, tt := range []struct {
		name    string
		answer  func(path, more string, times int) (int, string)
		want    string // error
		missing int
		reports int
	}{
		{"not installed", func(path, _ string, _ int) (int, string) {
			if path == reportsList {
				return 404, ""
			}
			return 200, list("")
		}, ErrNoReports.Error(), 0, 0},
		{"forbidden", func(path, _ string, _ int) (int, string) { return 403, `{"kind":"Status","message":"no list for you"}` }, "no list for you", 0, 0},
		{"no nodes for you", func(path, _ string, _ int) (int, string) {
			if path == reportsList {
				return 200, list(report)
			}
			return 403, ""
		}, "", 2, 1},
		{"busy once", func(path, _ string, times int) (int, string) {
			switch {
			case times == 0:
				return 503, ""
			case path == reportsList:
				return 200, list(report)
			}
			return 200, list("")
		}, "", 0, 1},
		{"always failing", func(string, string, int) (int, string) { return 500, "" }, "Internal Server Error", 0, 0},
		{"forgets the rest of the list once", func(path, more string, times int) (int, string) {
			switch {
			case path != reportsList:
				return 200, list("")
			case times == 1:
				return 410, ""
			case more == "":
				return 200, `{"metadata":{"resourceVersion":"7","continue":"c"},"items":[` + report + `]}`
			}
			return 200, list(strings.Replace(report, "node1", "node2", 1))
		}, "", 0, 2},
		{"a report that makes no sense", func(path, _ string, _ int) (int, string) {
			if path != reportsList {
				return 200, list("")
			}
			return 200, list(report + `,{"metadata":{"name":"node2"},"status":{"network":{"podCIDRs":["x"]}}},` + strings.Replace(report, "node1", "node3", 1))
		}, "", 0, 2},
		{"a report that ends in its middle", func(path, _ string, _ int) (int, string) {
			if path != reportsList {
				return 200, list("")
			}
			return 200, `{"metadata":{"resourceVersion":"7"},"items":[` + report + `,{"metadata":{"name":"node2"},"status":{"sta`
		}, "unexpected EOF", 0, 0},
		{"no list", func(string, string, int) (int, string) { return 200, "[]" }, "not a list", 0, 0},
		{"not a whole list", func(string, string, int) (int, string) { return 200, `{"metadata":{"resourceVersion":"7"},"items":[{` }, "EOF", 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			times := make(chan map[string]int, 1)
			times <- map[string]int{}
			s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				m := <-times
				n := m[r.URL.Path+r.URL.Query().Get("labelSelector")]
				m[r.URL.Path+r.URL.Query().Get("labelSelector")]++
				times <- m
				status, body := tt.answer(r.URL.Path, r.URL.Query().Get("continue"), n)
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}))
			defer s.Close()
			in, err := ReadCluster(context.Background(), &Access{Server: s.URL, Insecure: true}, time.Now(), nil)
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("ReadCluster: %v; want an error with %q", err, tt.want)
				}
				return
			}
			if err != nil || len(in.Missing) != tt.missing || len(in.Reports) != tt.reports || len(in.Broken) > 0 != (tt.name == "a report that makes no sense") {
				t.Errorf("ReadCluster: %v, %+v; want %d missing and %d reports", err, in, tt.missing, tt.reports)
			}
		})
	}
}

// FuzzCluster judges what a stranger's file says.
func FuzzCluster(f *testing.F) {
	f.Add([]byte(clusterText + proxyText))
	f.Add([]byte(`{"kind":"NodeNetworkReport","metadata":{"name":"n"},"status":{"critical":-1,"network":{"podCIDRs":["::ffff:1.2.3.4/100",""],"podMTU":[-1],"tunnels":[{"kind":"vxlan","mtu":9223372036854775807,"local":"::ffff:1.2.3.4","badChecksums":true}]}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := DecodeClusterFile(strings.NewReader(string(data)), time.Unix(1_700_000_000, 0))
		if err == nil {
			cluster.Judge(in)
		}
	})
}
