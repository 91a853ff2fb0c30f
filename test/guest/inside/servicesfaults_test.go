package inside

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

const faulty = "10.96.7.77"

// TestIPVSFaults makes faults by hand in what a real kube-proxy has made in IPVS mode: each gives exactly its finding, which goes when it is taken back.
func TestIPVSFaults(t *testing.T) {
	bridged(t)
	c := lab.Outside(t, "10.0.2.2")
	port := []map[string]any{{"name": "http", "protocol": "TCP", "port": 80}}
	if err := c.CreateService("default", "faulty", faulty, port, []string{"10.244.1.2", "10.244.1.3"}); err != nil {
		t.Fatal(err)
	}
	stop := proxy(t, "ipvs", "ipvsadm -Ln -t "+faulty+":80 | grep -q 10.244.1.3:80")
	t.Cleanup(func() { cleanup(t) })
	file := c.Services()
	judge := func(says string, want ...string) {
		t.Helper()
		var r *lab.Report
		lab.WaitFor(t, 3*time.Minute, fmt.Sprintf("findings %q", want), func() (bool, string) {
			r = audit(t, "--services", file, "--check", "service-rules-missing,service-rules-stale,ipvs-dead-backends,ipvs-dummy-addresses,ipvs-sysctls,strict-arp,proxy-mode-leftover")
			judged := true // while kube-proxy writes, it is not
			for _, s := range r.Skipped {
				judged = judged && s.Partial
			}
			return judged && strings.Join(r.Wrong(), ", ") == strings.Join(want, ", "), r.Describe()
		})
		if !strings.Contains(r.Text, says) {
			t.Errorf("no finding says %q\n%s", says, r.Describe())
		}
	}
	judge("")
	stop() // it would take back what it can
	for _, f := range []struct{ do, undo, says, want string }{
		{"ipvsadm -e -t " + faulty + ":80 -r 10.244.1.2:80 -m -w 0", "ipvsadm -e -t " + faulty + ":80 -r 10.244.1.2:80 -m -w 1", "gives no connections to 10.244.1.2:80",
			"warning ipvs-dead-backends default/faulty:http"},
		{"ipvsadm -d -t " + faulty + ":80 -r 10.244.1.2:80", "ipvsadm -a -t " + faulty + ":80 -r 10.244.1.2:80 -m -w 1", "10.244.1.2:80 should have connections and has none",
			"warning service-rules-stale default/faulty"},
		{"ipvsadm -a -t " + faulty + ":80 -r 10.244.1.9:80 -m -w 1", "ipvsadm -d -t " + faulty + ":80 -r 10.244.1.9:80", "connections go to 10.244.1.9:80, which should have none",
			"critical service-rules-stale default/faulty"},
		{"ipvsadm -A -t 10.96.7.78:80 -s rr; ipset add KUBE-CLUSTER-IP 10.96.7.78,tcp:80", "ipvsadm -D -t 10.96.7.78:80; ipset del KUBE-CLUSTER-IP 10.96.7.78,tcp:80", "rules of 10.96.7.78:80/tcp are still there", "warning service-rules-stale 10.96.7.78:80/tcp"},
		{"ip addr del " + faulty + "/32 dev kube-ipvs0", "ip addr add " + faulty + "/32 dev kube-ipvs0", "kube-ipvs0 lacks the address of default/faulty:http", "critical ipvs-dummy-addresses kube-ipvs0"},
		{"ip addr add 10.0.2.2/32 dev kube-ipvs0", "ip addr del 10.0.2.2/32 dev kube-ipvs0", "the gateway to 0.0.0.0/0",
			"critical ipvs-dummy-addresses kube-ipvs0, warning ipvs-dummy-addresses kube-ipvs0, warning strict-arp eth0"},
		{"sysctl -qw net.ipv4.vs.conntrack=0", "sysctl -qw net.ipv4.vs.conntrack=1", "what IPVS forwards is not masqueraded", "warning ipvs-sysctls net.ipv4.vs.conntrack"},
		{"ipvsadm -D -t " + faulty + ":80", "ipvsadm -A -t " + faulty + ":80 -s rr; ipvsadm -a -t " + faulty + ":80 -r 10.244.1.2:80 -m -w 1; ipvsadm -a -t " + faulty + ":80 -r 10.244.1.3:80 -m -w 1",
			"no rules for default/faulty", "critical service-rules-missing kube-proxy"},
	} {
		sh(t, f.do)
		judge(f.says, f.want)
		sh(t, f.undo)
		judge("")
	}
}
