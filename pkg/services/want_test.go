package services

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func addrs(texts ...string) (out []netip.Addr) {
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

// ep is an endpoint in few letters: "10.0.0.1 here ready" with any of here, ready, serving, terminating, zone:Z, node:N.
func ep(text string) facts.Endpoint {
	words := strings.Fields(text)
	e := facts.Endpoint{Addr: netip.MustParseAddr(words[0]), Node: "other"}
	for _, w := range words[1:] {
		switch key, value, _ := strings.Cut(w, ":"); key {
		case "here":
			e.Node = "node1"
		case "ready":
			e.Ready, e.Serving = true, true
		case "serving":
			e.Serving = true
		case "terminating":
			e.Terminating = true
		case "zone":
			e.Hints = hints(e.Hints)
			e.ForZones = append(e.ForZones, value)
		case "node":
			e.Hints = hints(e.Hints)
			e.ForNodes = append(e.ForNodes, value)
		default:
			panic(w)
		}
	}
	return e
}

func hints(h *facts.Hints) *facts.Hints {
	if h == nil {
		h = &facts.Hints{}
	}
	return h
}

func slice(eps ...string) facts.EndpointSlice {
	s := facts.EndpointSlice{Name: "s", Service: "ns/svc", Family: 4, Ports: []facts.EndpointPort{{Name: "p80", Protocol: "tcp", Port: 8080}}}
	for _, text := range eps {
		s.Endpoints = append(s.Endpoints, ep(text))
	}
	if len(s.Endpoints) > 0 && s.Endpoints[0].Addr.Is6() {
		s.Family = 6
	}
	return s
}

// plain is a ClusterIP Service with one port; change makes it another.
func plain(change ...func(*facts.Service)) facts.Service {
	s := facts.Service{Name: "ns/svc", Type: facts.TypeClusterIP, ClusterIPs: addrs("10.96.0.5"), Ports: []facts.ServicePort{{Name: "p80", Protocol: "tcp", Port: 80}}}
	for _, f := range change {
		f(&s)
	}
	return s
}

func options(mode string) Options {
	return Options{
		Mode: mode, Node: "node1", Zone: "z1",
		V4: FamilyOptions{NodeIP: netip.MustParseAddr("192.0.2.1"), KnowsPods: true, Addresses: addrs("192.0.2.1", "10.244.1.1")},
		V6: FamilyOptions{NodeIP: netip.MustParseAddr("2001:db8::1"), Addresses: addrs("2001:db8::1")},
	}
}

// text writes paths one per line.
func text(paths []facts.ServicePath) string {
	var b strings.Builder
	for _, p := range paths {
		fmt.Fprintf(&b, "%s %s", p.Kind, p.Name)
		if p.VIP.IsValid() {
			fmt.Fprintf(&b, " %s", p.VIP)
		}
		fmt.Fprintf(&b, " %d/%s", p.Port, p.Protocol)
		for _, word := range []string{p.Scope, p.Verdict, p.Masquerade.String()} {
			if word != "" {
				b.WriteString(" " + word)
			}
		}
		if p.Affinity > 0 {
			fmt.Fprintf(&b, " for %ds", p.Affinity)
		}
		if len(p.Sources) > 0 {
			fmt.Fprintf(&b, " from %v", p.Sources)
		}
		for i, e := range p.Backends {
			fmt.Fprintf(&b, "%s%s", map[bool]string{true: " -> ", false: " "}[i == 0], e.Addr)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestWant(t *testing.T) {
	nodePort := func(s *facts.Service) { s.Type, s.Ports[0].NodePort = facts.TypeNodePort, 30080 }
	balancer := func(s *facts.Service) { s.Type, s.LoadBalancers = facts.TypeLoadBalancer, addrs("203.0.113.7") }
	externalLocal := func(s *facts.Service) { s.ExternalLocal = true }
	internalLocal := func(s *facts.Service) { s.InternalLocal = true }
	for _, tt := range []struct {
		name    string
		mode    string // all of them where empty
		service facts.Service
		slices  []facts.EndpointSlice
		want    string
	}{
		{"ready endpoints", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.2.2 ready", "10.244.1.2 here ready", "10.244.1.3 here")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080 10.244.2.2:8080\n"},
		{"no endpoints", facts.ModeNFTables, plain(), nil, "cluster ns/svc:p80 10.96.0.5 80/tcp reject\n"},
		{"no endpoints, IPVS", facts.ModeIPVS, plain(), nil, "cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster\n"},
		{"only draining ones", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.2.2 serving terminating", "10.244.2.3 terminating", "10.244.2.4 serving")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\n"},
		{"several slices, one address twice", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.2.2 ready"), slice("10.244.2.2 ready", "10.244.2.3 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080 10.244.2.3:8080\n"},
		{"another slice's port", facts.ModeIPTables, plain(), []facts.EndpointSlice{func() facts.EndpointSlice {
			s := slice("10.244.2.2 ready")
			s.Ports[0].Name = "p81"
			return s
		}()}, "cluster ns/svc:p80 10.96.0.5 80/tcp reject\n"},
		{"internal policy Local", facts.ModeIPTables, plain(internalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready", "10.244.1.2 here ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080\n"},
		{"internal policy Local, none here", facts.ModeIPTables, plain(internalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp drop\n"},
		{"internal policy Local, none here, IPVS", facts.ModeIPVS, plain(internalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster\n"},
		{"node port", facts.ModeNFTables, plain(nodePort), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"node-port ns/svc:p80 30080/tcp all+hairpin -> 10.244.2.2:8080\ncluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\n"},
		{"node port, IPVS", facts.ModeIPVS, plain(nodePort), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster -> 10.244.2.2:8080\nnode-port ns/svc:p80 10.244.1.1 30080/tcp all -> 10.244.2.2:8080\n" +
				"node-port ns/svc:p80 192.0.2.1 30080/tcp all -> 10.244.2.2:8080\n"},
		{"external policy Local", facts.ModeIPTables, plain(nodePort, externalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready", "10.244.1.2 here ready")},
			"node-port ns/svc:p80 30080/tcp inside node+hairpin -> 10.244.1.2:8080 10.244.2.2:8080\nnode-port ns/svc:p80 30080/tcp outside hairpin -> 10.244.1.2:8080\n" +
				"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080 10.244.2.2:8080\n"},
		{"external policy Local, none here", facts.ModeNFTables, plain(nodePort, externalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"node-port ns/svc:p80 30080/tcp inside node+hairpin -> 10.244.2.2:8080\nnode-port ns/svc:p80 30080/tcp outside drop\n" +
				"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\n"},
		{"external policy Local, none here, IPVS", facts.ModeIPVS, plain(balancer, externalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster -> 10.244.2.2:8080\nload-balancer ns/svc:p80 203.0.113.7 80/tcp -> 10.244.2.2:8080\n"},
		{"external policy Local, a draining one here", facts.ModeIPTables, plain(nodePort, externalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready", "10.244.1.2 here serving terminating")},
			"node-port ns/svc:p80 30080/tcp inside node+hairpin -> 10.244.2.2:8080\nnode-port ns/svc:p80 30080/tcp outside hairpin -> 10.244.1.2:8080\n" +
				"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\n"},
		{"external policy Local of a Service that is not exposed", facts.ModeIPTables, plain(externalLocal), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\n"},
		{"external IP with policy Local", facts.ModeIPTables, plain(externalLocal, func(s *facts.Service) { s.ExternalIPs = addrs("198.51.100.9", "2001:db8::9") }), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\nexternal ns/svc:p80 198.51.100.9 80/tcp inside node+hairpin -> 10.244.2.2:8080\nexternal ns/svc:p80 198.51.100.9 80/tcp outside drop\n"},
		{"source ranges", facts.ModeIPTables, plain(balancer, func(s *facts.Service) {
			s.SourceRanges = prefixes("198.51.100.0/24", "192.0.2.128/25", "2001:db8::/32")
		}), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\nload-balancer ns/svc:p80 203.0.113.7 80/tcp all+hairpin from [192.0.2.128/25 198.51.100.0/24] -> 10.244.2.2:8080\n"},
		{"source ranges that include the node", facts.ModeIPVS, plain(balancer, func(s *facts.Service) { s.SourceRanges = prefixes("192.0.2.0/24") }), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster -> 10.244.2.2:8080\nload-balancer ns/svc:p80 203.0.113.7 80/tcp all from [192.0.2.0/24 203.0.113.7/32] -> 10.244.2.2:8080\n"},
		{"source ranges that hold all", facts.ModeNFTables, plain(balancer, func(s *facts.Service) { s.SourceRanges = prefixes("192.0.2.0/24", "0.0.0.0/0") }), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\nload-balancer ns/svc:p80 203.0.113.7 80/tcp all+hairpin -> 10.244.2.2:8080\n"},
		{"source ranges without endpoints", facts.ModeIPTables, plain(balancer, func(s *facts.Service) { s.SourceRanges = prefixes("192.0.2.0/24") }), nil,
			"cluster ns/svc:p80 10.96.0.5 80/tcp reject\nload-balancer ns/svc:p80 203.0.113.7 80/tcp reject\n"},
		{"source ranges without endpoints, nftables", facts.ModeNFTables, plain(balancer, func(s *facts.Service) { s.SourceRanges = prefixes("198.51.100.0/24") }), nil,
			"cluster ns/svc:p80 10.96.0.5 80/tcp reject\nload-balancer ns/svc:p80 203.0.113.7 80/tcp reject from [198.51.100.0/24]\n"},
		{"session affinity", facts.ModeNFTables, plain(func(s *facts.Service) { s.Affinity = 10800 }), []facts.EndpointSlice{slice("10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin for 10800s -> 10.244.2.2:8080\n"},
		{"health check port", facts.ModeIPTables, plain(balancer, externalLocal, func(s *facts.Service) { s.HealthPort = 31000 }), []facts.EndpointSlice{slice("10.244.1.2 here ready")},
			"health ns/svc 31000/tcp\ncluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080\n" +
				"load-balancer ns/svc:p80 203.0.113.7 80/tcp inside node+hairpin -> 10.244.1.2:8080\nload-balancer ns/svc:p80 203.0.113.7 80/tcp outside hairpin -> 10.244.1.2:8080\n"},
		{"dual stack", facts.ModeIPTables, plain(func(s *facts.Service) { s.ClusterIPs = addrs("10.96.0.5", "fd00:96::5") }), []facts.EndpointSlice{slice("10.244.2.2 ready"), slice("fd00:244::2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.2.2:8080\ncluster ns/svc:p80 fd00:96::5 80/tcp hairpin -> [fd00:244::2]:8080\n"},
		{"headless", "", plain(func(s *facts.Service) { s.ClusterIPs = nil }), []facts.EndpointSlice{slice("10.244.2.2 ready")}, ""},
		{"headless by label", "", plain(func(s *facts.Service) { s.Headless = true }), []facts.EndpointSlice{slice("10.244.2.2 ready")}, ""},
		{"external name", "", plain(func(s *facts.Service) { s.Type = facts.TypeExternalName }), nil, ""},
		{"another proxy's", "", plain(func(s *facts.Service) { s.Proxy = "mesh" }), []facts.EndpointSlice{slice("10.244.2.2 ready")}, ""},
		{"another proxy's endpoints", facts.ModeIPTables, plain(), []facts.EndpointSlice{func() facts.EndpointSlice { s := slice("10.244.2.2 ready"); s.Proxy = "mesh"; return s }()},
			"cluster ns/svc:p80 10.96.0.5 80/tcp reject\n"},
		{"hints for this zone", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.1.2 ready zone:z1", "10.244.2.2 ready zone:z2", "10.244.2.3 zone:z1")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080\n"},
		{"hints for other zones", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.1.2 ready zone:z3", "10.244.2.2 ready zone:z2")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080 10.244.2.2:8080\n"},
		{"one without a hint", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.1.2 ready zone:z1", "10.244.2.2 ready")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080 10.244.2.2:8080\n"},
		{"hints for this node", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.1.2 ready zone:z1 node:node1", "10.244.2.2 ready zone:z1 node:node2")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080\n"},
		{"hints for other nodes, and this zone", facts.ModeIPTables, plain(), []facts.EndpointSlice{slice("10.244.1.2 ready zone:z1 node:node3", "10.244.2.2 ready zone:z2 node:node2")},
			"cluster ns/svc:p80 10.96.0.5 80/tcp off-cluster+hairpin -> 10.244.1.2:8080\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, mode := range []string{facts.ModeIPTables, facts.ModeNFTables, facts.ModeIPVS} {
				if tt.mode != "" && tt.mode != mode {
					continue
				}
				w := Want(&facts.Cluster{All: []facts.Service{tt.service}, Slices: tt.slices}, options(mode))
				if d := cmp.Diff(tt.want, text(w.Rules.Paths)); d != "" {
					t.Errorf("Want in mode %s (-want +got):\n%s", mode, d)
				}
				if len(w.doubts) > 0 {
					t.Errorf("Want in mode %s: doubts %v; want none", mode, w.doubts)
				}
			}
		})
	}
}

func TestDoubts(t *testing.T) {
	external := plain(func(s *facts.Service) { s.ExternalIPs = addrs("198.51.100.9") })
	other := external
	other.Name, other.ClusterIPs = "ns/other", addrs("10.96.0.6")
	unknown := options(facts.ModeIPTables)
	unknown.Doubts = Doubts{Node: true, Zone: true, NodeIP: true}
	for _, tt := range []struct {
		name    string
		options Options
		cluster facts.Cluster
		want    int // how many paths are in doubt
	}{
		{"two Services at one address", options(facts.ModeIPTables), facts.Cluster{All: []facts.Service{external, other}}, 2},
		{"an address that two slices see differently", options(facts.ModeIPTables), facts.Cluster{All: []facts.Service{plain()},
			Slices: []facts.EndpointSlice{slice("10.244.2.2 ready"), slice("10.244.2.2")}}, 1},
		{"a local one is certain", options(facts.ModeIPTables), facts.Cluster{All: []facts.Service{plain()},
			Slices: []facts.EndpointSlice{slice("10.244.2.2 ready"), slice("10.244.2.2 here")}}, 0},
		{"in one slice the first is certain", options(facts.ModeIPTables), facts.Cluster{All: []facts.Service{plain()}, Slices: []facts.EndpointSlice{slice("10.244.2.2 ready", "10.244.2.2")}}, 0},
		{"unknown node, policy Local", unknown, facts.Cluster{All: []facts.Service{plain(func(s *facts.Service) { s.InternalLocal = true })}, Slices: []facts.EndpointSlice{slice("10.244.2.2 ready")}}, 1},
		{"unknown zone with hints", unknown, facts.Cluster{All: []facts.Service{plain()}, Slices: []facts.EndpointSlice{slice("10.244.2.2 ready zone:z1")}}, 1},
		{"unknown zone without", unknown, facts.Cluster{All: []facts.Service{plain()}, Slices: []facts.EndpointSlice{slice("10.244.2.2 ready")}}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if w := Want(&tt.cluster, tt.options); len(w.doubts) != tt.want {
				t.Errorf("doubts %v; want %d", w.doubts, tt.want)
			}
		})
	}
}
