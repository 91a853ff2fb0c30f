package kube

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/facts"
)

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

// shop is what testdata/kubectl.yaml wants of node1.
func shop() *facts.Cluster {
	return &facts.Cluster{
		Source: "test",
		Node: &facts.ClusterNode{Name: "node1", Zone: "z1", Addresses: addrs("192.0.2.1", "203.0.113.1"),
			PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.1.0/24")}},
		Proxy: &facts.ProxyPod{Name: "kube-system/kube-proxy-x7k2p", Phase: "Pending", Reason: "Unschedulable: 0/3 nodes are available", DaemonSet: "kube-system/kube-proxy"},
		All: []facts.Service{
			{Name: "default/kubernetes", Type: facts.TypeClusterIP, ClusterIPs: addrs("10.96.0.1"), Ports: []facts.ServicePort{{Name: "https", Protocol: "tcp", Port: 443}}},
			{Name: "shop/db", Type: facts.TypeClusterIP, Headless: true, Ports: []facts.ServicePort{{Protocol: "tcp", Port: 5432}}},
			{Name: "shop/web", Type: facts.TypeLoadBalancer, ClusterIPs: addrs("10.96.4.4", "fd00:96::4"), ExternalIPs: addrs("198.51.100.9"), LoadBalancers: addrs("203.0.113.7"),
				SourceRanges: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, ExternalLocal: true, Affinity: 600, HealthPort: 31200,
				Ports: []facts.ServicePort{{Name: "http", Protocol: "tcp", Port: 80}, {Name: "dns", Protocol: "udp", Port: 53, NodePort: 30053}}},
		},
		Slices: []facts.EndpointSlice{{Name: "web-abcde", Service: "shop/web", Family: 4, Ports: []facts.EndpointPort{{Name: "http", Protocol: "tcp", Port: 8080}},
			Endpoints: []facts.Endpoint{
				{Addr: netip.MustParseAddr("10.244.1.2"), Ready: true, Serving: true, Node: "node1", Hints: &facts.Hints{ForZones: []string{"z1"}, ForNodes: []string{"node1"}}},
				{Addr: netip.MustParseAddr("10.244.2.2"), Serving: true, Terminating: true, Node: "node2"},
				{Addr: netip.MustParseAddr("10.244.2.3"), Ready: true, Serving: true},
			}}},
	}
}

func kubectl(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/kubectl.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// asJSON writes the documents of YAML as kubectl -o json does, one behind the other.
func asJSON(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		j, err := yaml.YAMLToJSON(doc)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(j, '\n'))
	}
	return out.Bytes()
}

func equal(t *testing.T, want, got any) {
	t.Helper()
	opts := []cmp.Option{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
	if d := cmp.Diff(want, got, opts...); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDecodeFile(t *testing.T) {
	text := kubectl(t)
	indented := strings.ReplaceAll(string(text), "\n", "\n  ")
	for _, tt := range []struct{ name, text string }{
		{"yaml", string(text)},
		{"yaml with Windows' line ends", strings.ReplaceAll(string(text), "\n", "\r\n")},
		{"yaml with comments", "# from kubectl\n---\n" + strings.Replace(string(text), "items:\n", "items:\n# the items\n\n", 1)},
		{"yaml with indented items", strings.Replace(strings.Replace(indented[:strings.Index(indented, "\n  kind: List")], "\n  items:", "\nitems:", 1), "  kind: List", "", 1) +
			string(text[bytes.Index(text, []byte("\nkind: List")):])},
		{"json", string(asJSON(t, text))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o, err := DecodeFile(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			want := shop()
			want.Proxy.Age = 90
			now := time.Date(2024, 5, 6, 8, 1, 30, 0, time.UTC)
			pod := o.proxies
			pod[0].since = time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC)
			equal(t, want, o.Cluster("test", "node1", nil, now))
			if got := o.Cluster("test", "elsewhere", addrs("192.0.2.1"), now).Node; got == nil || got.Name != "node1" {
				t.Errorf("the node of address 192.0.2.1 is %v; want node1", got)
			}
			if got := o.Cluster("test", "elsewhere", addrs("192.0.2.2"), now); got.Node != nil || got.Proxy != nil {
				t.Errorf("a node that is not in the file: %v with %v", got.Node, got.Proxy)
			}
		})
	}
}

func TestDecodeFileRefuses(t *testing.T) {
	text := string(kubectl(t))
	change := func(old, now string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("no %q in the file", old)
		}
		return strings.Replace(text, old, now, 1)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"empty", " \n", "it is empty"},
		{"no yaml", "a: b: c", "decode cluster file"},
		{"half a json", `{"kind":"List","items":[{"kind":"Service","metadata":{"name":"x"`, "in the middle of an object"},
		{"no list", `{"kind":"List","items":7}`, "items are no list"},
		{"no object", `{"kind":"List","items":[7]}`, "object 1"},
		{"no Service", "kind: Node\nmetadata: {name: x}\n", "it needs Services"},
		{"other file", "apiVersion: v1\nclusters: []\n", "has no kind"},
		{"address", change("- 10.96.0.1\n", "- 10.96.0.256\n"), "Service default/kubernetes: clusterIPs: no IP address"},
		{"port", change("port: 443", "port: 70000"), "no port number: 70000"},
		{"protocol", change("protocol: TCP", "protocol: ICMP"), `unknown protocol "ICMP"`},
		{"type", change("type: ClusterIP", "type: Magic"), `unknown type "Magic"`},
		{"range", change("192.0.2.77/24", "192.0.2.77/99"), "no address range"},
		{"endpoint", change("10.244.2.2\n", "10.244.2.x\n"), "EndpointSlice shop/web-abcde: no IP address"},
		{"family", change("addressType: IPv4", "addressType: IPv5"), `unknown addressType "IPv5"`},
		{"wrong type of a value", change("port: 443", "port: x"), "object 1"},
		{"key twice", change("    type: LoadBalancer\n", "    type: LoadBalancer\n    type: ClusterIP\n"), "already set"},
		{"alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n" +
			"f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", "excessive aliasing"},
		{"one huge object", "kind: Service\nmetadata: {name: " + strings.Repeat("x", maxObject) + "}\n", "larger than a cluster"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeFile(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("DecodeFile = %v; want an error with %q", err, tt.want)
			}
		})
	}
	if _, err := DecodeFile(endless{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("DecodeFile of an endless file = %v; want %v", err, ErrTooLarge)
	}
}

// endless is comments without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '#'
		if i%80 == 79 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

var _ io.Reader = endless{}

func FuzzDecodeFile(f *testing.F) {
	text := kubectl(f)
	f.Add(text)
	f.Add(asJSON(f, text))
	f.Add([]byte("items:\n- kind: Service\n  metadata: {name: a, namespace: b}\n- kind: Service\n"))
	f.Add([]byte("items:\n  -\n    kind: Service\nkind: List\n---\n--- {}\n"))
	f.Add([]byte(`{"kind":"List","items":[]}{"kind":"Service","metadata":{"name":"a","namespace":"b"},"spec":{"clusterIP":"::ffff:1.2.3.4"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := DecodeFile(bytes.NewReader(data))
		if err != nil {
			return
		}
		s := facts.Snapshot{Schema: facts.Schema, Intent: facts.Intent{Cluster: o.Cluster("x", "node1", nil, time.Time{})}}
		var b bytes.Buffer
		if err := s.Encode(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := facts.Decode(&b); err != nil {
			t.Fatalf("a snapshot with what was decoded: %v", err)
		}
	})
}
