package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// kubeProxyRules is table nat as kube-proxy's iptables mode fills it (pkg/proxy/iptables): for each Service one rule in KUBE-SERVICES and a chain that
// chooses among the chains of its endpoints.
func kubeProxyRules(count, endpoints int) string {
	var chains, rules strings.Builder
	for s := range count {
		svc := services.PortHash(fmt.Sprintf("ns/svc%d:http", s), "tcp")
		vip := fmt.Sprintf("10.96.%d.%d", 10+s/250, 1+s%250)
		fmt.Fprintf(&chains, ":KUBE-SVC-%s - [0:0]\n", svc)
		fmt.Fprintf(&rules, "-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment \"ns/svc%d:http cluster IP\" -m tcp --dport 80 -j KUBE-SVC-%s\n", vip, s, svc)
		fmt.Fprintf(&rules, "-A KUBE-SVC-%s ! -s 10.244.0.0/16 -d %s/32 -p tcp -m comment --comment \"ns/svc%d:http cluster IP\" -m tcp --dport 80 -j KUBE-MARK-MASQ\n", svc, vip, s)
		for e := range endpoints {
			ip := fmt.Sprintf("10.%d.%d.%d", 244+e, s/250, 1+s%250)
			sep := services.PortHash(fmt.Sprintf("ns/svc%d:http%s:80", s, ip), "tcp")
			fmt.Fprintf(&chains, ":KUBE-SEP-%s - [0:0]\n", sep)
			choose := ""
			if e < endpoints-1 {
				choose = fmt.Sprintf(" -m statistic --mode random --probability %.10f", 1/float64(endpoints-e))
			}
			fmt.Fprintf(&rules, "-A KUBE-SVC-%s -m comment --comment \"ns/svc%d:http -> %s:80\"%s -j KUBE-SEP-%s\n", svc, s, ip, choose, sep)
			fmt.Fprintf(&rules, "-A KUBE-SEP-%s -s %s/32 -m comment --comment \"ns/svc%d:http\" -j KUBE-MARK-MASQ\n", sep, ip, s)
			fmt.Fprintf(&rules, "-A KUBE-SEP-%s -p tcp -m comment --comment \"ns/svc%d:http\" -m tcp -j DNAT --to-destination %s:80\n", sep, s, ip)
		}
	}
	return "*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n" + chains.String() +
		"-A PREROUTING -j KUBE-SERVICES\n-A OUTPUT -j KUBE-SERVICES\n-A POSTROUTING -j KUBE-POSTROUTING\n" +
		"-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000\n" +
		"-A KUBE-POSTROUTING -j MASQUERADE --random-fully\n-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000\n" + rules.String() + "COMMIT\n"
}

// BenchmarkTables compares the reading of a kube-proxy's 2,000 Services with 5 endpoints with iptables-save's, in both backends.
func BenchmarkTables(b *testing.B) {
	for _, backend := range []string{facts.BackendNFT, facts.BackendLegacy} {
		b.Run(backend, func(b *testing.B) {
			h, sh := filterNS(b)
			rules := filepath.Join(b.TempDir(), "rules")
			if err := os.WriteFile(rules, []byte(kubeProxyRules(2000, 5)), 0o600); err != nil {
				b.Fatal(err)
			}
			sh("iptables-" + backend + "-restore -w <" + rules)
			read := h.Node().NFTables
			if backend == facts.BackendLegacy {
				read = h.Node().Legacy
			}
			save := func() {
				sh("iptables-" + backend + "-save -t nat >/dev/null")
			}
			var ours, theirs time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				tables := inNS(b, h, read)
				ours += time.Since(start)
				b.StopTimer()
				if n := tableOf(b, tables, backend, "ip", "nat").Bulk["KUBE-SEP-"]; n != 10000 {
					b.Fatalf("%d endpoints; want 10000", n)
				}
				start = time.Now()
				save()
				theirs += time.Since(start)
				b.StartTimer()
			}
			b.ReportMetric(float64(ours.Microseconds())/1e3/float64(b.N), "ms/read")
			b.ReportMetric(float64(theirs.Microseconds())/1e3/float64(b.N), "ms/iptables-save")
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
		})
	}
}
