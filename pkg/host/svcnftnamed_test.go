package host

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// clusterOf has the endpoints that a table's chains are named after.
func clusterOf(messages []nlMsg) *facts.Cluster {
	c := &facts.Cluster{}
	for _, m := range messages {
		name := secondName(m.Body)
		if m.Type != nftMsg(unix.NFT_MSG_NEWRULE) || !strings.HasPrefix(name, services.NFTPrefixEndpoint) {
			continue
		}
		base, end, _ := strings.Cut(svcBaseAndEnd(name), "__")
		part := strings.Split(base, "/")
		at := strings.LastIndexByte(end, '/')
		addr, err := netip.ParseAddrPort("[" + strings.ReplaceAll(end[:at], ".", ":") + "]:" + end[at+1:])
		family := 6
		if err != nil {
			addr, family = netip.MustParseAddrPort(end[:at]+":"+end[at+1:]), 4
		}
		c.Slices = append(c.Slices, facts.EndpointSlice{
			Service: part[0] + "/" + part[1], Family: family, Ports: []facts.EndpointPort{{Name: part[3], Protocol: part[2], Port: addr.Port()}},
			Endpoints: []facts.Endpoint{{Addr: addr.Addr(), Ready: true}},
		})
	}
	return c
}

// svcBaseAndEnd is a chain's name without what it is for and the hash.
func svcBaseAndEnd(chain string) string { return strings.SplitN(chain, "-", 3)[2] }

// namedTable is a table with Services, each at 10.96.0.0/16 by its number, whose random numbers are looked up in these maps; E1 to E3 are its endpoints, and all have
// chains but those of E3 that the map says to leave out.
func namedTable(maps []string) string {
	var chains, elements strings.Builder
	for n, m := range maps {
		name := fmt.Sprintf("ns/s%d:p80", n)
		rest, local, _ := strings.Cut(m, " LOCAL ")
		rest, without3 := strings.CutPrefix(rest, "WITHOUT3 ")
		var pairs []string
		for e := 1; e <= 3; e++ {
			end := namedEnd(n, e)
			chain := services.NFTPrefixEndpoint + services.NFTEndpoint(name, "tcp", end)
			pairs = append(pairs, fmt.Sprintf("E%d", e), chain)
			if e < 3 || !without3 {
				fmt.Fprintf(&chains, "chain %s { ip saddr %s jump mark-for-masquerade; meta l4proto tcp dnat to %s; }\n", chain, end.Addr(), end)
			}
		}
		names := strings.NewReplacer(pairs...)
		fmt.Fprintf(&chains, "chain service-%s { %s; }\n", services.NFTPort(name, "tcp"), names.Replace(rest))
		if local != "" {
			fmt.Fprintf(&chains, "chain local-%s { %s; }\n", services.NFTPort(name, "tcp"), names.Replace(local))
		}
		fmt.Fprintf(&elements, "10.96.%d.%d . tcp . 80 : goto service-%s,\n", n/250, n%250, services.NFTPort(name, "tcp"))
	}
	return `nft -f - <<'END'
table ip kube-proxy {
chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark ^ 0x4000; masquerade fully-random; }
` + chains.String() + `map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { ` + elements.String() + `} }
chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
chain nat-output { type nat hook output priority -100; jump services; }
chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
END`
}

func namedEnd(service, e int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 240 + byte(e), byte(service / 250), byte(service % 250)}), 80)
}

// TestServicesNamed reads Services in a real kernel as if there were too many maps to read them all. The cluster has endpoints 1 and 2 of each: what differs from that
// is found as by who knows nothing of the cluster.
func TestServicesNamed(t *testing.T) {
	t.Parallel()
	const as, two = "WITHOUT3 numgen random mod 2 vmap { 0 : goto E1, 1 : goto E2 }", "10.241.N:80 1, 10.242.N:80 1"
	const stale = "numgen random mod 2 vmap { 0 : goto E1, 1 : goto E3 }"
	for _, tt := range []struct {
		name, numgen, want string
		unnamed            int // 0 also where the Service cannot be told without its map, whatever the cluster has
	}{
		{"as the cluster wants", as, two, 0},
		{"an endpoint that went is still there", strings.TrimPrefix(as, "WITHOUT3 "), two, 0},
		{"another endpoint, and nothing refers to the new one", stale, "10.241.N:80 1, 10.243.N:80 1", 1},
		{"another endpoint, and local- refers to the new one", stale + " LOCAL numgen random mod 1 vmap { 0 : goto E2 }", "10.241.N:80 1, 10.243.N:80 1", 1},
		{"another endpoint, and a rule behind refers to the new one", stale + "; goto E2", "10.241.N:80 1, 10.243.N:80 1", 0},
		{"one twice", "numgen random mod 2 vmap { 0 : goto E1, 1 : goto E1 }", "10.241.N:80 1", 1},
		{"one alone", "numgen random mod 1 vmap { 0 : goto E1 }", "10.241.N:80 1", 1},
		{"one more", "numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2, 2 : goto E3 }", "10.241.N:80 1, 10.242.N:80 1, 10.243.N:80 1", 1},
		{"one without a chain", "WITHOUT3 numgen random mod 2 vmap { 0 : goto E1 }", "10.241.N:80 1 broken", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, sh := filterNS(t)
			sh(namedTable([]string{tt.numgen, as, as}))
			x, got := readNamed(t, h, 3)
			if want := strings.ReplaceAll(tt.want, "N", "0.0") + "\n" + strings.ReplaceAll(two, "N", "0.1") + "\n" + strings.ReplaceAll(two, "N", "0.2") + "\n"; got != want {
				t.Errorf("Services lead to\n%s; want\n%s", got, want)
			}
			if x.uses != nil || x.unnamed != tt.unnamed {
				t.Errorf("%d Services have other endpoints, and the list of chains was read: %v; want %d, and that it was not", x.unnamed, x.uses != nil, tt.unnamed)
			}
		})
	}
	t.Run("very many", func(t *testing.T) {
		t.Parallel()
		h, sh := filterNS(t)
		maps, want := make([]string, 2*maxUnnamed), ""
		for n := range maps {
			maps[n] = stale
			want += fmt.Sprintf("10.241.0.%d:80 1, 10.243.0.%d:80 1\n", n, n)
		}
		sh(namedTable(maps))
		x, got := readNamed(t, h, len(maps))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("Services lead to (-want +got):\n%s", d)
		}
		if x.uses == nil || x.unnamed != maxUnnamed+1 {
			t.Errorf("%d Services have other endpoints, and the list of chains was read: %v; want that it was after %d", x.unnamed, x.uses != nil, maxUnnamed)
		}
	})
}

// readNamed reads with a cluster whose Services have their first two endpoints, and writes where each Service leads.
func readNamed(t *testing.T, h *Host, count int) (*svcNFTables, string) {
	t.Helper()
	c := &facts.Cluster{}
	for n := range count {
		c.Slices = append(c.Slices, facts.EndpointSlice{
			Service: fmt.Sprintf("ns/s%d", n), Family: 4, Ports: []facts.EndpointPort{{Name: "p80", Protocol: "tcp", Port: 80}},
			Endpoints: []facts.Endpoint{{Addr: namedEnd(n, 1).Addr(), Ready: true}, {Addr: namedEnd(n, 2).Addr(), Ready: true}},
		})
	}
	x := readTable(t, h, maxDrawn, services.NewLikely(c, nil))
	var out strings.Builder
	for _, p := range x.paths {
		for i, b := range p.Backends {
			if i > 0 {
				out.WriteString(", ")
			}
			fmt.Fprintf(&out, "%s %d", b.Addr, b.Weight)
		}
		if p.Broken != nil {
			out.WriteString(" broken")
		}
		out.WriteString("\n")
	}
	return x, out.String()
}
