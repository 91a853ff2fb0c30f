package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// nftService is kube-proxy's nftables table with a Service, whose random number is looked up in this map, and another with endpoint 4.
func nftService(numgen string) string {
	var b strings.Builder
	end := func(service string, n int) string {
		return fmt.Sprintf("endpoint-ABCDEFGH-%s/tcp/p80__10.244.0.%d/80", service, n)
	}
	for _, service := range []string{"ns/a", "ns/a", "ns/a", "ns/b"} {
		n := strings.Count(b.String(), "dnat") + 1
		fmt.Fprintf(&b, "chain %s { ip saddr 10.244.0.%d jump mark-for-masquerade; meta l4proto tcp dnat to 10.244.0.%d:80; }\n", end(service, n), n, n)
	}
	numgen = strings.NewReplacer("E1", end("ns/a", 1), "E2", end("ns/a", 2), "E3", end("ns/a", 3), "E4", end("ns/b", 4)).Replace(numgen)
	return `nft -f - <<'END'
add table ip kube-proxy
delete table ip kube-proxy
table ip kube-proxy {
chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark ^ 0x4000; masquerade fully-random; }
` + b.String() + `
chain service-ABCDEFGH-ns/a/tcp/p80 { ` + numgen + `; }
chain service-ABCDEFGH-ns/b/tcp/p80 { numgen random mod 1 vmap { 0 : goto ` + end("ns/b", 4) + ` }; }
map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = {
 10.96.0.1 . tcp . 80 : goto service-ABCDEFGH-ns/a/tcp/p80, 10.96.0.2 . tcp . 80 : goto service-ABCDEFGH-ns/b/tcp/p80 } }
map service-nodeports { type inet_proto . inet_service : verdict; }
chain services { ip daddr . meta l4proto . th dport vmap @service-ips; fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports; }
chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
chain nat-output { type nat hook output priority -100; jump services; }
chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
END`
}

// readTable reads kube-proxy's IPv4 table as if it had so many frontends more.
func readTable(t *testing.T, h *Host, drawn int, likely *services.Likely) *svcNFTables {
	t.Helper()
	x := inNS(t, h, func() (*svcNFTables, error) {
		c, err := openSvcConn(unix.NETLINK_NETFILTER, briefBuffer())
		if err != nil {
			return nil, err
		}
		defer c.close()
		x := newSvcNFTables(c, unix.NFPROTO_IPV4, false)
		x.drawn, x.likely = drawn, likely
		return x, x.read()
	})
	x.finish()
	return x
}

// TestServicesTruncated has a reader whose buffer is too small for what the kernel puts into a message, as it may be on one with another struct skb_shared_info.
func TestServicesTruncated(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	const ends = 40
	var rules strings.Builder
	rules.WriteString("*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-SVC-A - [0:0]\n")
	for e := range ends {
		fmt.Fprintf(&rules, ":KUBE-SEP-%d - [0:0]\n-A KUBE-SEP-%d -p tcp -j DNAT --to-destination 10.244.0.%d:80\n", e, e, e+1)
		fmt.Fprintf(&rules, "-A KUBE-SVC-A -m statistic --mode random --probability %.10f -j KUBE-SEP-%d\n", 1/float64(ends-e), e)
	}
	rules.WriteString("-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-A\nCOMMIT\n")
	sh("iptables-nft-restore <<'END'\n" + rules.String() + "END")
	r := h.Node().ServiceReader(ServiceOptions{Mode: facts.ModeIPTables})
	t.Cleanup(func() { r.Close() })
	for _, brief := range []int{briefBuffer(), 1000, largestBrief} {
		r.brief, r.held = brief, nil
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		got := inNS(t, h, func() (*facts.ServiceRules, error) {
			rules, _, err := r.Read(nil)
			return rules, err
		})
		if len(got.Paths) != 1 || len(got.Paths[0].Backends) != ends {
			t.Errorf("with %d bytes: %+v; want one path to %d", brief, got.Paths, ends)
		}
		if brief < briefBuffer() && r.brief != largestBrief {
			t.Errorf("with %d bytes nothing was truncated", brief)
		}
	}
}

// TestServicesCounted tells where Services lead with and without reading each map of random numbers. Where somebody has changed a map, both agree.
func TestServicesCounted(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	for _, tt := range []struct{ name, numgen, want string }{
		{"whole", "numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2, 2 : goto E3 }", "10.244.0.1:80 1, 10.244.0.2:80 1, 10.244.0.3:80 1"},
		{"one is twice there", "numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2, 2 : goto E2 }", "10.244.0.1:80 333, 10.244.0.2:80 667"},
		{"one is missing", "numgen random mod 2 vmap { 0 : goto E1, 1 : goto E2 }", "10.244.0.1:80 1, 10.244.0.2:80 1"},
		{"a number leads nowhere", "numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2 }", "10.244.0.1:80 1, 10.244.0.2:80 1 broken service-ABCDEFGH-ns/a/tcp/p80"},
		{"another Service's", "numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2, 2 : goto E4 }", "10.244.0.1:80 1, 10.244.0.2:80 1, 10.244.0.4:80 1"},
		{"a rule that is not kube-proxy's", "tcp dport 81 drop; numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2, 2 : goto E3 }",
			"10.244.0.1:80 1, 10.244.0.2:80 1, 10.244.0.3:80 1 unknown service-ABCDEFGH-ns/a/tcp/p80: a rule that is not kube-proxy's"},
		{"flushed", "", " broken service-ABCDEFGH-ns/a/tcp/p80"},
	} {
		sh(nftService(tt.numgen))
		for _, drawn := range []int{0, maxDrawn} {
			x := readTable(t, h, drawn, nil)
			var got []string
			for _, b := range x.paths[0].Backends {
				got = append(got, fmt.Sprintf("%s %d", b.Addr, b.Weight))
			}
			line := strings.Join(got, ", ")
			if x.paths[0].Broken != nil {
				line += " broken " + strings.Join(x.paths[0].Broken, " ")
			}
			if x.paths[0].Unknown != "" {
				line += " unknown " + x.paths[0].Unknown
			}
			if line != tt.want || len(x.paths) != 2 {
				t.Errorf("%s, %d maps before: %q of %d paths; want %q", tt.name, drawn, line, len(x.paths), tt.want)
			}
		}
	}
}

// TestServicesSwapped has two Services whose endpoints somebody exchanges, where there are so many maps that they are counted. A reader that has read the table
// before sees it, and so does one that follows links; then a Service that nobody touched is read whole at last.
func TestServicesSwapped(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	var b strings.Builder
	const many = maxDrawn + 2
	end := func(n int) string {
		return fmt.Sprintf("endpoint-ABCDEFGH-ns/s%d/tcp/p80__10.244.%d.%d/80", n, n/250, n%250)
	}
	for n := range many {
		fmt.Fprintf(&b, "add chain ip kube-proxy %s\nadd rule ip kube-proxy %s meta l4proto tcp dnat to 10.244.%d.%d:80\n", end(n), end(n), n/250, n%250)
		fmt.Fprintf(&b, "add chain ip kube-proxy service-ABCDEFGH-ns/s%d/tcp/p80\nadd rule ip kube-proxy service-ABCDEFGH-ns/s%d/tcp/p80 numgen random mod 1 vmap { 0 : goto %s }\n", n, n, end(n))
		fmt.Fprintf(&b, "add element ip kube-proxy service-ips { 10.96.%d.%d . tcp . 80 : goto service-ABCDEFGH-ns/s%d/tcp/p80 }\n", n/250, n%250, n)
	}
	file := filepath.Join(t.TempDir(), "rules")
	head := "add table ip kube-proxy\nadd map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	if err := os.WriteFile(file, []byte(head+b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sh("nft -f " + file)
	read := func(r *ServiceReader) (wrong int) {
		t.Helper()
		rules := inNS(t, h, func() (rules *facts.ServiceRules, err error) {
			rules, _, err = r.Read(nil)
			return rules, err
		})
		if len(rules.Paths) != many {
			t.Fatalf("%d paths", len(rules.Paths))
		}
		for _, p := range rules.Paths {
			vip := p.VIP.As4()
			if want := fmt.Sprintf("10.244.%d.%d:80", vip[2], vip[3]); len(p.Backends) != 1 || p.Backends[0].Addr.String() != want {
				wrong++
			}
		}
		return wrong
	}
	r := h.Node().ServiceReader(ServiceOptions{Mode: facts.ModeNFTables})
	t.Cleanup(func() { r.Close() })
	if wrong := read(r); wrong != 0 {
		t.Fatalf("%d Services lead elsewhere", wrong)
	}
	counted := func() (n int) {
		for _, whole := range r.maps[0].whole {
			if !whole {
				n++
			}
		}
		return n
	}
	if n := counted(); n != many {
		t.Errorf("at first %d maps are counted; want %d", n, many)
	}
	change := func(service, leads int) string {
		return fmt.Sprintf("flush chain ip kube-proxy service-ABCDEFGH-ns/s%d/tcp/p80\nadd rule ip kube-proxy service-ABCDEFGH-ns/s%d/tcp/p80 numgen random mod 1 vmap { 0 : goto %s }\n", service, service, end(leads))
	}
	sh("nft -f - <<'END'\n" + change(3, 4) + change(4, 3) + "END")
	for i := range 2 {
		if wrong := read(r); wrong != 2 {
			t.Errorf("reading %d after the exchange: %d Services lead elsewhere; want 2", i, wrong)
		}
		sh("nft add chain ip kube-proxy other" + fmt.Sprint(i))
	}
	if n := counted(); n != many-2-2*maxDrawnRest {
		t.Errorf("two readings later %d maps are counted", n)
	}
	links := h.Node().ServiceReader(ServiceOptions{Mode: facts.ModeNFTables, Trace: true})
	t.Cleanup(func() { links.Close() })
	if wrong := read(links); wrong != 2 {
		t.Errorf("with links: %d Services lead elsewhere; want 2", wrong)
	}
	sh("nft -f - <<'END'\n" + change(3, 3) + change(4, 4) + "END")
	if wrong := read(r); wrong != 0 {
		t.Errorf("as it was: %d Services lead elsewhere", wrong)
	}
}

// TestServicesAgain reads a table, reads nothing while it stands still, and reads again once it has changed.
func TestServicesAgain(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(nftService("numgen random mod 3 vmap { 0 : goto E1, 1 : goto E2, 2 : goto E3 }"))
	r := h.Node().ServiceReader(ServiceOptions{Mode: facts.ModeNFTables})
	t.Cleanup(func() { r.Close() })
	read := func() (*facts.ServiceRules, bool) {
		t.Helper()
		changed := false
		rules := inNS(t, h, func() (rules *facts.ServiceRules, err error) {
			rules, changed, err = r.Read(nil)
			return rules, err
		})
		return rules, changed
	}
	first, changed := read()
	if !changed || len(first.Paths) != 2 {
		t.Fatalf("first: changed %v, %+v", changed, first)
	}
	questions := func() uint32 { return r.conn.long.seq + r.conn.brief.seq }
	asked := questions()
	again, changed := read()
	if changed || again != first || questions()-asked != 1 {
		t.Errorf("again: changed %v with %d questions; want none but for the generation", changed, questions()-asked)
	}
	sh("nft delete element ip kube-proxy service-ips '{ 10.96.0.2 . tcp . 80 }'")
	later, changed := read()
	if !changed || len(later.Paths) != 1 || len(first.Paths) != 2 {
		t.Errorf("after a change: changed %v, %d paths; want the facts of before untouched", changed, len(later.Paths))
	}
}

// TestServicesLegacyAgain does the same for the legacy backend, which has no generation.
func TestServicesLegacyAgain(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sep := services.PrefixEndpoint + "AAAAAAAAAAAAAAAA"
	sh(`iptables-legacy-restore <<END
*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:` + sep + ` - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE
-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SVC-AAAAAAAAAAAAAAAA -j ` + sep + `
-A ` + sep + ` -p tcp -m tcp -j DNAT --to-destination 10.0.0.1:6443
COMMIT
END`)
	r := h.Node().ServiceReader(ServiceOptions{Mode: facts.ModeIPTables})
	t.Cleanup(func() { r.Close() })
	read := func() (changed bool, broken []string) {
		t.Helper()
		rules := inNS(t, h, func() (rules *facts.ServiceRules, err error) {
			rules, changed, err = r.Read(nil)
			return rules, err
		})
		if len(rules.Paths) != 1 {
			t.Fatalf("paths: %+v", rules.Paths)
		}
		return changed, rules.Paths[0].Broken
	}
	for i, want := range []bool{true, false} {
		sh("ip addr add 10.96.0.1/32 dev lo 2>/dev/null || true; ping -c1 -W1 10.96.0.1 >/dev/null 2>&1 || true") // packets count
		if changed, broken := read(); changed != want || broken != nil {
			t.Errorf("reading %d: changed %v, broken %v; want %v and none", i, changed, broken, want)
		}
	}
	sh("iptables-legacy -t nat -D PREROUTING -j KUBE-SERVICES; iptables-legacy -t nat -F " + sep)
	changed, broken := read()
	if d := cmp.Diff([]string{sep}, broken); !changed || d != "" {
		t.Errorf("after a change: changed %v, broken:\n%s", changed, d)
	}
}
