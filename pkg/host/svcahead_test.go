package host

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// balancedRules are those of a load balancer at 192.0.2.1:443 with a source range, as kube-proxy writes them, behind other programs' rules.
const balancedRules = `SAVE <<END
*raw
-A PREROUTING -d 10.96.0.9/32 -p udp -m udp --dport 53 -j DROP
COMMIT
*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-FW-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-EXT-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SVC-AAAAAAAAAAAAAAAA - [0:0]
:KUBE-SEP-AAAAAAAAAAAAAAAA - [0:0]
:other - [0:0]
:deeper - [0:0]
-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.7:80
-A PREROUTING -m addrtype --dst-type LOCAL -j RETURN
-A PREROUTING -j other
-A PREROUTING -d 10.96.0.0/16 -j deeper
-A PREROUTING -j KUBE-SERVICES
-A PREROUTING -d 10.96.0.1/32 -j ACCEPT
-A OUTPUT -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A other -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j ACCEPT
-A other -s 10.1.0.0/16 -j RETURN
-A other -d 10.96.0.2/32 -j ACCEPT
-A deeper -p icmp -j ACCEPT
-A deeper -d 10.97.0.1/32 -j ACCEPT
-A deeper -p udp -j ACCEPT
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE
-A KUBE-SERVICES -d 192.0.2.1/32 -p tcp -m comment --comment "ns/a:p loadbalancer IP" -m tcp --dport 443 -j KUBE-FW-AAAAAAAAAAAAAAAA
-A KUBE-FW-AAAAAAAAAAAAAAAA -s 198.51.100.0/24 -j KUBE-EXT-AAAAAAAAAAAAAAAA
-A KUBE-EXT-AAAAAAAAAAAAAAAA -j KUBE-MARK-MASQ
-A KUBE-EXT-AAAAAAAAAAAAAAAA -j KUBE-SVC-AAAAAAAAAAAAAAAA
-A KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-AAAAAAAAAAAAAAAA
-A KUBE-SEP-AAAAAAAAAAAAAAAA -p tcp -m tcp -j DNAT --to-destination 10.0.0.1:6443
COMMIT
*filter
:KUBE-PROXY-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A OUTPUT -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL
-A KUBE-PROXY-FIREWALL -d 192.0.2.1/32 -p tcp -m comment --comment "ns/a:p traffic not accepted by KUBE-FW-AAAAAAAAAAAAAAAA" -m tcp --dport 443 -j DROP
COMMIT
END`

// TestServicesAhead reads what other programs decide before kube-proxy's rules, and what drops whom a load balancer's source ranges do not let in.
func TestServicesAhead(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"nft", "legacy"} {
		h, sh := filterNS(t)
		sh(strings.Replace(balancedRules, "SAVE", "iptables-"+backend+"-restore", 1))
		read := func() (ahead, paths []string) {
			t.Helper()
			rules := inNS(t, h, func() (*facts.ServiceRules, error) {
				return h.Node().ServiceRules(ServiceOptions{Mode: facts.ModeIPTables}, nil)
			})
			for i := range rules.Ahead {
				ahead = append(ahead, rules.Ahead[i].Hook+" "+rules.Ahead[i].Text())
			}
			for _, p := range rules.Paths {
				paths = append(paths, strings.TrimSpace(p.Name+" "+p.VIP.String()+" "+p.Verdict+" "+strings.Join(p.Broken, ", ")+p.Unknown))
			}
			return ahead, paths
		}
		ahead, paths := read()
		want := []string{
			"prerouting raw PREROUTING rule 1 drops udp to 10.96.0.9/32 port 53",
			"prerouting nat PREROUTING rule 1 translates tcp port 8080 into 10.0.0.7:80",
			"prerouting nat other rule 1 accepts tcp to 10.96.0.1/32 port 443",
			"prerouting nat other rule 3 accepts packets to 10.96.0.2/32 (perhaps only some: nat other rule 2 lets some by)",
			"prerouting nat deeper rule 3 accepts udp to 10.96.0.0/16",
		}
		if d := cmp.Diff(want, ahead); d != "" {
			t.Errorf("%s: rules ahead (-want +got):\n%s", backend, d)
		}
		if d := cmp.Diff([]string{"ns/a:p 192.0.2.1"}, paths); d != "" {
			t.Errorf("%s: paths (-want +got):\n%s", backend, d)
		}
		for _, tt := range []struct{ do, want string }{
			{"-D FORWARD 1", "ns/a:p 192.0.2.1  filter FORWARD to KUBE-PROXY-FIREWALL"},
			{"-F KUBE-PROXY-FIREWALL", "ns/a:p 192.0.2.1  filter KUBE-PROXY-FIREWALL"},
			{"-A KUBE-PROXY-FIREWALL -d 192.0.2.1/32 -p tcp -m tcp --dport 443 -j DROP", "ns/a:p 192.0.2.1  filter FORWARD to KUBE-PROXY-FIREWALL"},
			{"-I FORWARD -j KUBE-PROXY-FIREWALL", "ns/a:p 192.0.2.1"},
			{"-A KUBE-PROXY-FIREWALL -d 192.0.2.0/32 -p tcp -m tcp --dport 443 -j DROP", "192.0.2.0 drop;ns/a:p 192.0.2.1"},
		} {
			sh("iptables-" + backend + " " + tt.do)
			if _, paths := read(); strings.Join(paths, ";") != tt.want {
				t.Errorf("%s: after %s: %q; want %q", backend, tt.do, paths, tt.want)
			}
		}
	}
}

// TestServiceRulesKept gives the same facts again where nothing has changed, and reads anew with other options.
func TestServiceRulesKept(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(strings.Replace(balancedRules, "SAVE", "iptables-nft-restore", 1))
	read := func(o ServiceOptions) *facts.ServiceRules {
		return inNS(t, h, func() (*facts.ServiceRules, error) { return h.Node().ServiceRules(o, nil) })
	}
	first := read(ServiceOptions{Mode: facts.ModeIPTables})
	if read(ServiceOptions{Mode: facts.ModeIPTables}) != first {
		t.Error("what stands still was read again")
	}
	if traced := read(ServiceOptions{Mode: facts.ModeIPTables, Trace: true}); traced == first || traced.Paths[0].Trace == nil {
		t.Error("no links where they are asked for")
	}
	sh("iptables-nft -t nat -F KUBE-SERVICES")
	if now := read(ServiceOptions{Mode: facts.ModeIPTables}); len(now.Paths) != 1 || now.Paths[0].Verdict != facts.VerdictDrop || len(first.Paths) != 1 || len(first.Paths[0].Backends) != 1 {
		t.Errorf("after a change: %+v, before %+v", now.Paths, first.Paths)
	}
}

// TestServicesNFTRanges reads the way to a load balancer's source ranges in nftables mode, whole and with each link of it gone.
func TestServicesNFTRanges(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	const end, service, external, firewall = "endpoint-ABCDEFGH-ns/a/tcp/p__10.0.0.1/80", "service-ABCDEFGH-ns/a/tcp/p", "external-ABCDEFGH-ns/a/tcp/p", "firewall-ABCDEFGH-ns/a/tcp/p"
	table := `nft -f - <<'END'
add table ip kube-proxy
delete table ip kube-proxy
table ip kube-proxy {
chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
chain masquerading { masquerade fully-random; }
chain ` + end + ` { ip saddr 10.0.0.1 jump mark-for-masquerade; meta l4proto tcp dnat to 10.0.0.1:80; }
chain ` + service + ` { numgen random mod 1 vmap { 0 : goto ` + end + ` }; }
chain ` + external + ` { jump mark-for-masquerade; goto ` + service + `; }
chain ` + firewall + ` { ip saddr != { 198.51.100.0/24, 203.0.113.7 } drop; }
map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 192.0.2.1 . tcp . 443 : goto ` + external + ` } }
map service-nodeports { type inet_proto . inet_service : verdict; }
map firewall-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = { 192.0.2.1 . tcp . 443 : goto ` + firewall + ` } }
chain services { ip daddr . meta l4proto . th dport vmap @service-ips; fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports; }
chain firewall-check { ip daddr . meta l4proto . th dport vmap @firewall-ips; }
chain filter-prerouting-pre-dnat { type filter hook prerouting priority -110; ct state new jump firewall-check; }
chain filter-output-pre-dnat { type filter hook output priority -110; ct state new jump firewall-check; }
chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
chain nat-output { type nat hook output priority -100; jump services; }
chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
END`
	for _, tt := range []struct{ do, want string }{
		{"true", ""},
		{"nft flush chain ip kube-proxy filter-prerouting-pre-dnat", "filter-prerouting-pre-dnat to firewall-check"},
		{"nft flush chain ip kube-proxy filter-output-pre-dnat", "filter-output-pre-dnat to firewall-check"},
		{"nft flush chain ip kube-proxy firewall-check", "firewall-check to map firewall-ips"},
	} {
		sh(table + "\n" + tt.do)
		rules := inNS(t, h, func() (*facts.ServiceRules, error) {
			return h.Node().ServiceRules(ServiceOptions{Mode: facts.ModeNFTables}, nil)
		})
		if len(rules.Paths) != 1 || len(rules.Paths[0].Sources) != 2 || strings.Join(rules.Paths[0].Broken, ", ") != tt.want || rules.Paths[0].Unknown != "" {
			t.Errorf("after %s: %+v; want broken %q", tt.do, rules.Paths, tt.want)
		}
	}
}
