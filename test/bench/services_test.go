package bench

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	services  = 2000
	endpoints = 5
	rounds    = 15

	maxRatio    = 0.6
	maxResident = 64 << 10 // KiB

	podCIDR = "10.244.0.0/16" // with it the packet filter is judged too
)

// BenchmarkAuditVsIPTablesSave audits a node whose kube-proxy serves many Services, beside iptables-save of the table that holds them, in turns.
func BenchmarkAuditVsIPTablesSave(b *testing.B) {
	c := lab.NewCluster(b)
	n := c.Join("busy")
	n.Write("var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS: [%s]\n", lab.DNSAddress)
	c.Load(services, endpoints)
	c.Proxy(n, "iptables")
	lab.WaitFor(b, 5*time.Minute, "kube-proxy to write all rules", func() (bool, string) {
		time.Sleep(time.Second)
		out := n.Sh("iptables-nft-save -t nat | grep -c '^:KUBE-SEP-' || true")
		got, err := strconv.Atoi(strings.TrimSpace(out))
		return err == nil && got >= services*endpoints, fmt.Sprintf("%d of %d chains", got, services*endpoints)
	})
	n.Audit("--pod-cidr", podCIDR).Judged("iptables-backend-mixed", "proxy-mode-leftover", "forward-blocked") // nothing is left out because there is so much
	// Once without counting: what was never read before comes from elsewhere than memory.
	save := func() (r run) {
		err := n.Do(func() error { // a thread in the namespace: the program and nothing else is measured
			r = measure(b, exec.Command("iptables-save", "-t", "nat"))
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	save()
	measure(b, audit(n, "--pod-cidr", podCIDR))
	var audits, saves []run
	for range rounds {
		audits = append(audits, measure(b, audit(n, "--pod-cidr", podCIDR)))
		saves = append(saves, save())
	}
	rules := strings.TrimSpace(n.Sh("iptables-save -t nat | wc -l"))
	ratio(b, "audit-vs-iptables-save", float64(median(audits))/float64(median(saves)), maxRatio,
		fmt.Sprintf("a whole audit %.0f ms, iptables-save -t nat of %s lines %.0f ms (medians of %d in turns)", ms(median(audits)), rules, ms(median(saves)), rounds))
	ratio(b, "audit-resident", float64(most(audits))/maxResident, 1,
		fmt.Sprintf("%.1f MiB resident at most, of %d MiB", float64(most(audits))/1024, maxResident>>10))
}
