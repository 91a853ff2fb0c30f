package services

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// TestWithoutZone gives a node the rules of a kube-proxy that does not know its zone, and near misses.
func TestWithoutZone(t *testing.T) {
	other := plain(func(s *facts.Service) { s.Name, s.ClusterIPs = "ns/other", addrs("10.96.0.6") })
	hinted := slice("10.244.1.2 ready zone:z1", "10.244.2.2 ready zone:z2")
	also := slice("10.244.1.3 ready zone:z1", "10.244.2.3 ready zone:z2")
	also.Service = other.Name
	c := &facts.Cluster{All: []facts.Service{plain(), other}, Slices: []facts.EndpointSlice{hinted, also}}
	all := func(p *facts.ServicePath, ends ...string) {
		p.Backends = nil
		for _, e := range ends {
			p.Backends = append(p.Backends, facts.ServiceBackend{Addr: netip.MustParseAddrPort(e), Weight: 1})
		}
	}
	const unzoned, unzonedOther = "cluster 80 extra [10.244.2.2:8080]\n", "cluster 80 extra [10.244.2.3:8080]\n"
	for _, tt := range []struct {
		name       string
		held       func(svc, other *facts.ServicePath)
		zone       string // of the node
		left, told string
	}{
		{"as wanted", func(_, _ *facts.ServicePath) {}, "z1", "", ""},
		{"all zones", func(svc, other *facts.ServicePath) {
			all(svc, "10.244.1.2:8080", "10.244.2.2:8080")
			all(other, "10.244.1.3:8080", "10.244.2.3:8080")
		}, "z1", "", unzoned + unzonedOther},
		{"all zones for one Service only", func(svc, _ *facts.ServicePath) { all(svc, "10.244.1.2:8080", "10.244.2.2:8080") }, "z1", unzoned, ""},
		{"all zones, and another endpoint", func(svc, other *facts.ServicePath) {
			all(svc, "10.244.1.2:8080", "10.244.2.2:8080", "10.244.9.9:8080")
			all(other, "10.244.1.3:8080", "10.244.2.3:8080")
		}, "z1", "cluster 80 extra [10.244.9.9:8080]\n", unzonedOther},
		{"another endpoint", func(svc, _ *facts.ServicePath) { all(svc, "10.244.1.2:8080", "10.244.9.9:8080") }, "z1", "cluster 80 extra [10.244.9.9:8080]\n", ""},
		{"a node without zone", func(svc, _ *facts.ServicePath) { all(svc, "10.244.1.2:8080") }, "", "cluster 80 missing [10.244.2.2:8080]\n", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(facts.ModeIPTables)
			o.Zone = tt.zone
			want := Want(c, o)
			held := Want(c, o).Rules
			tt.held(&held.Paths[0], &held.Paths[1])
			left, told := WithoutZone(c, o, &held, Compare(want, &held))
			if d := cmp.Diff([]string{tt.left, tt.told}, []string{differences(left), differences(told)}); d != "" {
				t.Errorf("what is left, and what the zone tells (-want +got):\n%s", d)
			}
		})
	}
}
