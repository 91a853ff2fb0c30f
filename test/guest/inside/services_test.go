package inside

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/test/e2e/lab"
)

// ipvsFacts are the ways of the Services of every kind, without their names, which IPVS does not know. Of IPv6 kube-proxy does not know the pods' addresses.
const ipvsFacts = `
cluster V1:80/tcp ALL masquerade off-cluster
cluster V1:81/udp ALL masquerade off-cluster
cluster V1:82/sctp ALL masquerade off-cluster
cluster V2:80/tcp ALL masquerade off-cluster
cluster V2:81/udp ALL masquerade off-cluster
cluster V2:82/sctp ALL masquerade off-cluster
node-port NODE:30010/tcp ALL masquerade all
node-port NODE:30011/udp ALL masquerade all
node-port NODE:30012/sctp ALL masquerade all
cluster V3:80/tcp ALL masquerade off-cluster
node-port NODE:30020/tcp LOCAL
cluster V4:80/tcp REMOTE masquerade off-cluster
external X4:80/tcp REMOTE masquerade all
cluster V5:80/tcp LOCAL masquerade off-cluster
cluster V6:80/tcp masquerade off-cluster
cluster V7:80/tcp ALL masquerade off-cluster affinity 77
cluster V8:80/tcp masquerade off-cluster
external X8:80/tcp masquerade all
node-port NODE:30080/tcp masquerade all
cluster V11:80/tcp REMOTE masquerade off-cluster
load-balancer X11:80/tcp REMOTE masquerade all sources [198.51.100.0/24 203.0.113.7/32]
node-port NODE:30110/tcp REMOTE masquerade all
cluster V12:80/tcp REMOTE masquerade off-cluster
load-balancer X12:80/tcp REMOTE
node-port NODE:30120/tcp REMOTE
cluster V13:80/tcp REMOTE masquerade off-cluster
load-balancer X13:80/tcp REMOTE masquerade all
health 30129/tcp`

func ipvsLines(rules *facts.ServiceRules, family int) (out []string) {
	for _, p := range rules.Paths {
		front := fmt.Sprint(p.Port)
		if p.VIP.IsValid() {
			front = netip.AddrPortFrom(p.VIP, p.Port).String()
		}
		other := p.Kind == facts.FrontNodePort && p.VIP != netip.MustParseAddr("10.0.2.15")
		if p.Family != family || other || front == "10.96.0.1:443" || strings.HasPrefix(front, lab.DNSAddress+":") {
			continue
		}
		line := fmt.Sprintf("%s %s/%s", p.Kind, front, p.Protocol)
		for _, b := range p.Backends {
			if line += " " + b.Addr.Addr().String(); b.Addr.Port() != 8080 || b.Weight != 1 {
				line += fmt.Sprintf(" port %d weight %d", b.Addr.Port(), b.Weight)
			}
		}
		if p.Masquerade != 0 {
			line += " masquerade " + p.Masquerade.String()
		}
		if p.Affinity != 0 {
			line += fmt.Sprintf(" affinity %d", p.Affinity)
		}
		if p.Sources != nil {
			line += fmt.Sprintf(" sources %v", p.Sources)
		}
		if p.Broken != nil || p.Unknown != "" || p.Verdict != "" {
			line += fmt.Sprintf(" broken %v unknown %s %s", p.Broken, p.Unknown, p.Verdict)
		}
		out = append(out, line)
	}
	slices.Sort(out)
	return out
}

func ipvsWanted(family int) (out []string) {
	var pairs []string
	for i := 13; i > 0; i-- {
		v, x := fmt.Sprintf("10.96.1.%d:", i), fmt.Sprintf("192.0.2.%d:", i)
		if family == 6 {
			v, x = fmt.Sprintf("[fd00:96::1%02d]:", i), fmt.Sprintf("[2001:db8::%d]:", i)
		}
		pairs = append(pairs, fmt.Sprintf("V%d:", i), v, fmt.Sprintf("X%d:", i), x)
	}
	if family == 4 {
		pairs = append(pairs, "NODE", "10.0.2.15", "LOCAL", "10.244.1.1", "ALL", "10.244.1.1 10.244.1.2 10.244.1.3 10.244.9.1 10.244.9.2", "REMOTE", "10.244.9.1 10.244.9.2")
	} else {
		pairs = append(pairs, "LOCAL", "fd00:244::1:1", "ALL", "fd00:244::1:1 fd00:244::1:2 fd00:244::1:3 fd00:244::9:1 fd00:244::9:2", "REMOTE", "fd00:244::9:1 fd00:244::9:2",
			"off-cluster", "node", " sources [198.51.100.0/24 203.0.113.7/32]", "")
	}
	for line := range strings.Lines(strings.TrimSpace(ipvsFacts)) {
		line = strings.TrimSpace(line)
		if family == 6 && (strings.Contains(line, "NODE") || strings.Contains(line, " X8:") || strings.Contains(line, " X13:")) {
			continue
		}
		out = append(out, strings.NewReplacer(pairs...).Replace(line))
	}
	slices.Sort(out)
	return out
}

// TestServicesIPVS reads Services of every kind as the real kube-proxy writes them in IPVS mode, then a destination that gets nothing more.
func TestServicesIPVS(t *testing.T) {
	bridged(t)
	stop := proxy(t, "ipvs", ipvsReady)
	t.Cleanup(func() { cleanup(t) })
	h, err := host.Open(host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	r := h.Node().ServiceReader(host.ServiceOptions{Mode: facts.ModeIPVS})
	t.Cleanup(func() { r.Close() })
	read := func() (*facts.ServiceRules, bool) {
		rules, changed, err := r.Read(nil)
		if err != nil {
			t.Fatal(err)
		}
		return rules, changed
	}
	diff := ""
	lab.WaitFor(t, 4*time.Minute, "the virtual servers", func() (bool, string) {
		rules, _, err := r.Read(nil)
		if errors.Is(err, host.ErrInterrupted) { // kube-proxy is writing
			return false, err.Error()
		}
		if err != nil {
			t.Fatal(err)
		}
		diff = cmp.Diff(ipvsWanted(4), ipvsLines(rules, 4)) + cmp.Diff(ipvsWanted(6), ipvsLines(rules, 6))
		return diff == "", diff
	})
	stop()
	read()
	if _, changed := read(); changed {
		t.Error("two readings of what stands still differ")
	}
	sh(t, "ipvsadm -e -t 10.96.1.4:80 -r 10.244.9.1:8080 -m -w 0")
	rules, changed := read()
	if lines := ipvsLines(rules, 4); !changed || !slices.Contains(lines, "cluster 10.96.1.4:80/tcp 10.244.9.1 port 8080 weight 0 10.244.9.2 masquerade off-cluster") {
		t.Errorf("changed %v with a destination of weight 0:\n%s", changed, strings.Join(lines, "\n"))
	}
}
