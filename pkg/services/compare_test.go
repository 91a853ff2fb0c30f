package services

import (
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// wanted is what one node must have for a Service of every kind.
func wanted(mode string) *Wanted {
	s := plain(func(s *facts.Service) {
		s.Type, s.Ports[0].NodePort, s.ExternalLocal, s.Affinity = facts.TypeNodePort, 30080, true, 60
	})
	none := plain(func(s *facts.Service) { s.Name, s.ClusterIPs = "ns/none", addrs("10.96.0.6") })
	return Want(&facts.Cluster{All: []facts.Service{s, none}, Slices: []facts.EndpointSlice{slice("10.244.2.2 ready", "10.244.1.2 here ready")}}, options(mode))
}

// differences writes them one per line.
func differences(list []Difference) string {
	var b strings.Builder
	for _, d := range list {
		p := d.Path()
		fmt.Fprintf(&b, "%s %d", p.Kind, p.Port)
		for _, part := range []struct {
			name string
			is   bool
		}{{" not held", d.Held == nil}, {" not wanted", d.Want == nil}} {
			if part.is {
				b.WriteString(part.name)
			}
		}
		if p.Scope != "" {
			b.WriteString(" " + p.Scope)
		}
		for _, part := range []struct {
			name string
			list []netip.AddrPort
		}{{"missing", d.Missing}, {"extra", d.Extra}, {"dead", d.Dead}} {
			if len(part.list) > 0 {
				fmt.Fprintf(&b, " %s %v", part.name, part.list)
			}
		}
		for _, f := range d.Fields {
			fmt.Fprintf(&b, " %s: %s, not %s", f.Name, f.Got, f.Want)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	cluster := func(paths []facts.ServicePath) *facts.ServicePath {
		return &paths[slices.IndexFunc(paths, func(p facts.ServicePath) bool { return p.Kind == facts.FrontCluster && len(p.Backends) > 0 })]
	}
	for _, tt := range []struct {
		name   string
		mode   string
		change func(*facts.ServiceRules)
		want   string
	}{
		{"equal", facts.ModeIPTables, func(*facts.ServiceRules) {}, ""},
		{"equal in another order", facts.ModeNFTables, func(r *facts.ServiceRules) {
			slices.Reverse(r.Paths)
			p := cluster(r.Paths)
			p.Backends = slices.Clone(p.Backends)
			slices.Reverse(p.Backends)
		}, ""},
		{"a family that was not read", facts.ModeIPTables, func(r *facts.ServiceRules) { r.Paths, r.Families = nil, []int{6} }, ""},
		{"nothing held", facts.ModeIPTables, func(r *facts.ServiceRules) { r.Paths = nil },
			"node-port 30080 not held inside missing [10.244.1.2:8080 10.244.2.2:8080]\nnode-port 30080 not held outside missing [10.244.1.2:8080]\n" +
				"cluster 80 not held missing [10.244.1.2:8080 10.244.2.2:8080]\ncluster 80 not held\n"},
		{"a backend gone", facts.ModeIPTables, func(r *facts.ServiceRules) {
			p := cluster(r.Paths)
			p.Backends, p.Broken = p.Backends[1:], []string{"KUBE-SEP-X"}
		},
			"cluster 80 missing [10.244.1.2:8080]\n"},
		{"a wrong backend", facts.ModeIPTables, func(r *facts.ServiceRules) {
			p := cluster(r.Paths)
			p.Backends = []facts.ServiceBackend{p.Backends[0], {Addr: netip.MustParseAddrPort("10.244.9.9:1"), Weight: 1}}
		}, "cluster 80 missing [10.244.2.2:8080] extra [10.244.9.9:1]\n"},
		{"a backend without weight", facts.ModeIPVS, func(r *facts.ServiceRules) {
			p := cluster(r.Paths)
			p.Backends = slices.Clone(p.Backends)
			p.Backends[1].Weight = 0
		}, "cluster 80 missing [10.244.2.2:8080] dead [10.244.2.2:8080]\n"},
		{"a backend that is drained", facts.ModeIPVS, func(r *facts.ServiceRules) {
			p := cluster(r.Paths)
			p.Backends = append(slices.Clone(p.Backends), facts.ServiceBackend{Addr: netip.MustParseAddrPort("10.244.9.9:1")})
		}, ""},
		{"a Service that is gone", facts.ModeIPTables, func(r *facts.ServiceRules) {
			r.Paths = append(r.Paths, facts.ServicePath{Kind: facts.FrontCluster, Family: 4, VIP: netip.MustParseAddr("10.96.7.7"), Port: 1, Protocol: "udp",
				Backends: []facts.ServiceBackend{{Addr: netip.MustParseAddrPort("10.244.9.9:1"), Weight: 1}}})
		}, "cluster 1 not wanted extra [10.244.9.9:1]\n"},
		{"rejected still", facts.ModeNFTables, func(r *facts.ServiceRules) {
			p := cluster(r.Paths)
			p.Backends, p.Verdict, p.Masquerade, p.Affinity = nil, facts.VerdictReject, 0, 0
		}, "cluster 80 missing [10.244.1.2:8080 10.244.2.2:8080] connections: rejected, not to backends\n"},
		{"an empty chain", facts.ModeIPTables, func(r *facts.ServiceRules) { p := cluster(r.Paths); p.Backends, p.Broken = nil, []string{"KUBE-SVC-X"} },
			"cluster 80 missing [10.244.1.2:8080 10.244.2.2:8080]\n"},
		{"affinity and masquerading", facts.ModeIPTables, func(r *facts.ServiceRules) { p := cluster(r.Paths); p.Affinity, p.Masquerade = 0, facts.MasqHairpin },
			"cluster 80 session affinity: none, not 60 s masquerades: hairpin, not off-cluster+hairpin\n"},
		{"another policy", facts.ModeIPTables, func(r *facts.ServiceRules) {
			all := cluster(r.Paths).Backends
			r.Paths = slices.DeleteFunc(r.Paths, func(p facts.ServicePath) bool { return p.Kind == facts.FrontNodePort })
			r.Paths = append(r.Paths, facts.ServicePath{Kind: facts.FrontNodePort, Family: 4, Port: 30080, Protocol: "tcp", Affinity: 60, Masquerade: facts.MasqAll | facts.MasqHairpin, Backends: all})
		}, "node-port 30080 inside masquerades: all+hairpin, not node+hairpin\nnode-port 30080 outside extra [10.244.2.2:8080] masquerades: all+hairpin, not hairpin\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			held := wanted(tt.mode).Rules
			tt.change(&held)
			if d := cmp.Diff(tt.want, differences(Compare(wanted(tt.mode), &held))); d != "" {
				t.Errorf("Compare (-want +got):\n%s", d)
			}
		})
	}
}

// many is a cluster of n Services with 5 endpoints each, of all kinds.
func many(n int) *facts.Cluster {
	c := &facts.Cluster{}
	for i := range n {
		name := fmt.Sprintf("namespace-%d/service-%d", i%50, i)
		s := facts.Service{Name: name, Type: facts.TypeClusterIP, ClusterIPs: []netip.Addr{netip.AddrFrom4([4]byte{10, 96, byte(i >> 8), byte(i)})},
			Ports: []facts.ServicePort{{Name: "http", Protocol: "tcp", Port: 80}}}
		if i%10 == 0 {
			s.Type, s.Ports[0].NodePort, s.ExternalLocal = facts.TypeNodePort, uint16(30000+i/10), i%20 == 0
		}
		sl := facts.EndpointSlice{Name: name + "-x", Service: name, Family: 4, Ports: []facts.EndpointPort{{Name: "http", Protocol: "tcp", Port: 8080}}}
		for e := range 5 {
			sl.Endpoints = append(sl.Endpoints, facts.Endpoint{Addr: netip.AddrFrom4([4]byte{10, byte(128 + e), byte(i >> 8), byte(i)}), Ready: true, Serving: true, Node: "node1"})
		}
		c.All, c.Slices = append(c.All, s), append(c.Slices, sl)
	}
	return c
}

// TestMemory holds the bound under which a daemon keeps a large cluster: what is wanted and what is held, of 10,000 Services, in far less than 64 MiB.
func TestMemory(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	c := many(10_000)
	o := options(facts.ModeIPTables)
	w := Want(c, o)
	held := Want(c, o).Rules
	after := heap()
	if got := int64(after-before) >> 20; got > 28 {
		t.Errorf("10,000 Services take %d MiB; want at most 28", got)
	} else {
		t.Logf("10,000 Services take %d MiB", got)
	}
	if d := Compare(w, &held); len(d) != 0 {
		t.Errorf("Compare of equals: %d differences", len(d))
	}
	runtime.KeepAlive(c)
}

func BenchmarkWant(b *testing.B) {
	c := many(10_000)
	for b.Loop() {
		Want(c, options(facts.ModeIPTables))
	}
}

func BenchmarkCompare(b *testing.B) {
	c := many(10_000)
	w := Want(c, options(facts.ModeIPTables))
	held := Want(c, options(facts.ModeIPTables)).Rules
	for b.Loop() {
		Compare(w, &held)
	}
}
