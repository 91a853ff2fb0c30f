package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// netstat is what a kernel before 4.12 shows, with the counters of incident (a): PAWSPassive and ListenDrops rise together.
func netstat(passive, drops int) string {
	return fmt.Sprintf(`TcpExt: SyncookiesSent SyncookiesRecv TW TWRecycled TWKilled PAWSPassive PAWSActive PAWSEstab DelayedACKs ListenOverflows ListenDrops
TcpExt: 0 0 3799 12 2080938 %d 0 7 120 0 %d
IpExt: InNoRoutes InTruncatedPkts
IpExt: 0 0
`, passive, drops)
}

// oldNode is a node of a kernel that has tcp_tw_recycle, which none has that could run here: a tree of files.
func oldNode(t *testing.T) *lab.Node {
	n := lab.NewNode(t, "old")
	n.Own(map[string]string{
		"uptime":                            "100000.00 200000.00\n",
		"net/netstat":                       netstat(3565, 3565),
		"net/snmp":                          "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors\nUdp: 10 0 0 10 0 0 0\n",
		"net/snmp6":                         "Udp6InCsumErrors                \t0\n",
		"sys/kernel/osrelease":              "3.10.0-1160.el7.x86_64\n",
		"sys/net/ipv4/ip_forward":           "0\n",
		"sys/net/ipv4/tcp_timestamps":       "1\n",
		"sys/net/ipv4/tcp_tw_recycle":       "1\n",
		"sys/net/core/somaxconn":            "128\n",
		"sys/net/ipv4/conf/all/forwarding":  "0\n",
		"sys/net/ipv4/conf/all/rp_filter":   "0\n",
		"sys/net/ipv4/conf/eth0/rp_filter":  "0\n",
		"sys/net/ipv4/conf/eth0/forwarding": "0\n",
	})
	n.Write("etc/sysctl.d/90-tuning.conf", "# copied from the web\nnet.ipv4.tcp_tw_recycle = 1\n")
	return n
}

// TestTCPTWRecycle is incident (a).
func TestTCPTWRecycle(t *testing.T) {
	t.Parallel()
	n := oldNode(t)
	r := n.Audit().Want("critical tcp-tw-recycle net.ipv4.tcp_tw_recycle")
	named := false
	for _, e := range r.Find("tcp-tw-recycle").Evidence {
		named = named || e.Fact == "/etc/sysctl.d/90-tuning.conf line 2"
	}
	if !named {
		t.Errorf("the file that sets it at boot is not named:\n%s", r.Describe())
	}
	n.Mend(r)
	text, err := os.ReadFile(filepath.Join(n.Root, "proc/sys/net/ipv4/tcp_tw_recycle"))
	if err != nil || string(text) != "0\n" {
		t.Errorf("tcp_tw_recycle is %q, %v; want 0", text, err)
	}
	n.Audit().Want().Judged("tcp-tw-recycle")
}

// TestPAWSListenDrops lets the counters of incident (a) rise while the audit's window passes.
func TestPAWSListenDrops(t *testing.T) {
	t.Parallel()
	n := oldNode(t)
	late := time.AfterFunc(1500*time.Millisecond, func() { n.Write("proc/net/netstat", "%s", netstat(3858, 3858)) })
	defer late.Stop()
	r := n.Audit("--window", "3s").Want("critical paws-listen-drops TcpExt.PAWSPassive", "critical tcp-tw-recycle net.ipv4.tcp_tw_recycle")
	n.Type(r.Find("paws-listen-drops").Fixes[0].Commands...)
	n.Audit("--window", "1s").Want().Judged("paws-listen-drops", "tcp-tw-recycle")
}
