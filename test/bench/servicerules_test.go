package bench

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	proxy "github.com/netmend/netmend/pkg/services"
	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	manyServices = 10_000
	rulesRounds  = 9

	maxRulesResident = 64 << 10 // KiB
	maxRulesGrowth   = 5.5
	maxRulesAgain    = 0.02
)

// BenchmarkServiceRules reads what a node holds for Services, a few and many, and compares it with what the cluster wants, beside the program that lists it,
// in turns, and again where nothing has changed. The rules are as kube-proxy writes them, in an order by chance as it does, and put into the kernel at once: for so many it takes minutes itself.
// With -short there are only the few.
func BenchmarkServiceRules(b *testing.B) {
	program := filepath.Join(b.TempDir(), "rules")
	if err := lab.Build(program, "./test/bench/rules"); err != nil {
		b.Fatal(err)
	}
	counts := []int{services, manyServices}
	if testing.Short() {
		counts = counts[:1]
	}
	for _, m := range []struct {
		mode, rules string
		limit       float64
		load, list  []string
		text        func(count int) string
	}{
		{facts.ModeIPTables, "iptables-save", 0.6, []string{"iptables-nft-restore"}, []string{"iptables-nft-save", "-t", "nat"}, iptablesRules},
		{facts.ModeNFTables, "nft list", 0.25, []string{"nft", "-f", "-"}, []string{"nft", "list", "table", "ip", proxy.TableNFT}, nftablesRules},
	} {
		var sides []rulesSide
		for _, count := range counts {
			n := lab.NewNode(b, "rules")
			load := n.Command(m.load[0], m.load[1:]...)
			load.Stdin = strings.NewReader(m.text(count))
			if out, err := load.CombinedOutput(); err != nil {
				b.Fatalf("%v: %v: %s", m.load, err, out)
			}
			sides = append(sides, rulesSide{n: n, count: count})
		}
		var growth []float64
		for range rulesRounds {
			for i := range sides {
				sides[i].round(b, program, m.mode, m.list)
			}
			growth = append(growth, float64(last(sides[len(sides)-1].busy))/float64(last(sides[0].busy)))
		}
		for _, s := range sides {
			name := fmt.Sprintf("service-rules-%s-%d", m.mode, s.count)
			ratio(b, name, float64(median(s.ours))/float64(median(s.theirs)), m.limit,
				fmt.Sprintf("read and compared %.0f ms, %s %.0f ms (medians of %d in turns)", ms(median(s.ours)), m.rules, ms(median(s.theirs)), rulesRounds))
			ratio(b, name+"-resident", float64(most(s.ours))/maxRulesResident, 1, fmt.Sprintf("%.1f MiB resident at most, of %d MiB", float64(most(s.ours))/1024, maxRulesResident>>10))
			ratio(b, name+"-again", float64(median(s.again))/float64(median(s.ours)), maxRulesAgain,
				fmt.Sprintf("what has not changed takes %.3f ms, to see that it has not, instead of %.0f ms", ms(median(s.again)), ms(median(s.ours))))
		}
		if len(sides) == 2 {
			slices.Sort(growth)
			ratio(b, "service-rules-"+m.mode+"-growth", growth[len(growth)/2], maxRulesGrowth, fmt.Sprintf("five times as many Services take the processors %.0f ms instead of %.0f ms (the median of %d in turns, from %.2f to %.2f)",
				ms(median(sides[1].busy)), ms(median(sides[0].busy)), rulesRounds, growth[0], growth[len(growth)-1]))
		}
	}
}

// rulesSide is a node with so many Services.
type rulesSide struct {
	n                         *lab.Node
	count                     int
	ours, theirs, busy, again []run // busy is what the processors had to do: what else the machine does while many are read is not growth
}

// round measures the program, and beside it the one that lists the rules.
func (s *rulesSide) round(b *testing.B, program, mode string, list []string) {
	b.Helper()
	r, cpu, second := readRules(b, exec.Command(program, s.n.Path, mode, fmt.Sprint(s.count), fmt.Sprint(endpoints)))
	s.ours, s.busy, s.again = append(s.ours, r), append(s.busy, run{wall: cpu}), append(s.again, run{wall: second})
	err := s.n.Do(func() error {
		s.theirs = append(s.theirs, measure(b, exec.Command(list[0], list[1:]...)))
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func last(list []run) time.Duration { return list[len(list)-1].wall }

// readRules runs the program, whose time and memory are what it says: it makes the cluster first.
func readRules(b *testing.B, cmd *exec.Cmd) (r run, cpu, again time.Duration) {
	b.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v: %s", cmd.Args, err, errs.String())
	}
	var wall, used, differences, resident, second int64
	if _, err := fmt.Sscan(out.String(), &wall, &used, &differences, &resident, &second); err != nil || differences != 0 {
		b.Fatalf("%v printed %q: %v; want no differences", cmd.Args, out.String(), err)
	}
	return run{wall: time.Duration(wall), resident: resident}, time.Duration(used), time.Duration(second)
}

// loadService is one of the Services that are loaded; package rules wants the same.
type loadService struct {
	name string
	vip  netip.Addr
	ends []netip.AddrPort
}

func loadServices(count int) (list []loadService) {
	for s := range count {
		l := loadService{name: fmt.Sprintf("default/load-%d:http", s), vip: netip.AddrFrom4([4]byte{10, 96, byte(10 + s/200), byte(1 + s%200)})}
		for e := range endpoints {
			n := s*endpoints + e
			l.ends = append(l.ends, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 244, byte(2 + n/250), byte(2 + n%250)}), 80))
		}
		list = append(list, l)
	}
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// iptablesRules are those of table nat for more than 1,000 endpoints, where kube-proxy leaves most comments out.
func iptablesRules(count int) string {
	var chains, portals, rules []string
	add := func(list *[]string, format string, args ...any) { *list = append(*list, fmt.Sprintf(format, args...)) }
	for _, s := range loadServices(count) {
		svc := proxy.PrefixCluster + proxy.PortHash(s.name, "tcp")
		add(&chains, ":%s - [0:0]", svc)
		add(&portals, `-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment "%s cluster IP" -m tcp --dport 80 -j %s`, s.vip, s.name, svc)
		add(&rules, `-A %s ! -s 10.244.0.0/16 -d %s/32 -p tcp -m comment --comment "%s cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ`, svc, s.vip, s.name)
		for i, end := range s.ends {
			sep := proxy.PrefixEndpoint + proxy.EndpointHash(s.name, "tcp", end)
			add(&chains, ":%s - [0:0]", sep)
			choose := ""
			if left := len(s.ends) - i; left > 1 {
				choose = fmt.Sprintf(" -m statistic --mode random --probability %.10f", 1/float64(left))
			}
			add(&rules, "-A %s%s -j %s", svc, choose, sep)
			add(&rules, "-A %s -s %s/32 -j KUBE-MARK-MASQ", sep, end.Addr())
			add(&rules, "-A %s -p tcp -m tcp -j DNAT --to-destination %s", sep, end)
		}
	}
	r := rand.New(rand.NewPCG(3, 4))
	r.Shuffle(len(chains), func(i, j int) { chains[i], chains[j] = chains[j], chains[i] }) // iptables-save of chains in their order takes ten times as long
	head := []string{"*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]", ":KUBE-POSTROUTING - [0:0]", ":KUBE-NODEPORTS - [0:0]"}
	tail := []string{
		"-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS", "-A PREROUTING -j KUBE-SERVICES", "-A OUTPUT -j KUBE-SERVICES",
		"-A POSTROUTING -j KUBE-POSTROUTING", "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000", "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
		"-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000", "-A KUBE-POSTROUTING -j MASQUERADE --random-fully", "COMMIT", "",
	}
	return strings.Join(slices.Concat(head, chains, portals, rules, tail), "\n")
}

// nftablesRules are kube-proxy's table.
func nftablesRules(count int) string {
	var chains, elements strings.Builder
	for _, s := range loadServices(count) {
		svc := proxy.NFTPrefixCluster + proxy.NFTPort(s.name, "tcp")
		var places []string
		for i, end := range s.ends {
			name := proxy.NFTPrefixEndpoint + proxy.NFTEndpoint(s.name, "tcp", end)
			fmt.Fprintf(&chains, "chain %s { ip saddr %s jump mark-for-masquerade; meta l4proto tcp dnat to %s; }\n", name, end.Addr(), end)
			places = append(places, fmt.Sprintf("%d : goto %s", i, name))
		}
		fmt.Fprintf(&chains, "chain %s { ip daddr %s ip saddr != 10.244.0.0/16 jump mark-for-masquerade; numgen random mod %d vmap { %s }; }\n",
			svc, s.vip, len(places), strings.Join(places, ", "))
		fmt.Fprintf(&elements, "%s . tcp . 80 : goto %s,\n", s.vip, svc)
	}
	return `table ip kube-proxy {
chain mark-for-masquerade { meta mark set meta mark or 0x4000; }
chain masquerading { meta mark & 0x4000 == 0 return; meta mark set meta mark ^ 0x4000; masquerade fully-random; }
` + chains.String() + "map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; elements = {\n" + elements.String() + `} }
map service-nodeports { type inet_proto . inet_service : verdict; }
chain services { ip daddr . meta l4proto . th dport vmap @service-ips; fib daddr type local ip daddr != 127.0.0.0/8 meta l4proto . th dport vmap @service-nodeports; }
chain nat-prerouting { type nat hook prerouting priority -100; jump services; }
chain nat-output { type nat hook output priority -100; jump services; }
chain nat-postrouting { type nat hook postrouting priority 100; jump masquerading; }
}
`
}
