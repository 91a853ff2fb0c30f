package inside

import (
	"fmt"
	"net"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestConntrackFull fills the connection-tracking table, whose limit only the initial namespace can set.
func TestConntrackFull(t *testing.T) {
	sh(t, "iptables-nft -A OUTPUT -m conntrack --ctstate NEW -j ACCEPT") // somebody has to want tracking
	undo(t, "nft flush ruleset; conntrack -F 2>/dev/null")
	before := sh(t, "sysctl -n net.netfilter.nf_conntrack_max net.netfilter.nf_conntrack_buckets | tr '\\n' ' '")
	undo(t, "set -- "+before+"; sysctl -qw net.netfilter.nf_conntrack_max=$1 net.netfilter.nf_conntrack_buckets=$2")
	sh(t, "conntrack -F 2>/dev/null; sysctl -qw net.netfilter.nf_conntrack_max=1000")
	audit(t).Want()
	flows := func(n int) {
		t.Helper()
		c, err := net.ListenPacket("udp", ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range n {
			if _, err := c.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 0, 2, 2), Port: 20000 + i}); err != nil {
				t.Fatal(err)
			}
		}
	}
	flows(800)
	audit(t).Want("warning conntrack-full net.netfilter.nf_conntrack_max")
	flows(130)
	add(t, "conntrack-full", 114)
	mend(t, audit(t).Want("critical conntrack-full net.netfilter.nf_conntrack_max"))
	audit(t).Want().Judged("conntrack-full")
	add(t, "conntrack-full", 0)
}

// TestNeighOverflow fills the ARP table, which all namespaces share and whose limit only the initial one shows.
func TestNeighOverflow(t *testing.T) {
	before := sh(t, "cd /proc/sys/net/ipv4/neigh/default; cat gc_thresh1 gc_thresh2 gc_thresh3 | tr '\\n' ' '")
	undo(t, "set -- "+before+"; cd /proc/sys/net/ipv4/neigh/default; echo $1 >gc_thresh1; echo $2 >gc_thresh2; echo $3 >gc_thresh3; ip neigh flush dev many; ip link del many")
	sh(t, "ip link add many type dummy; ip addr add 10.77.0.1/16 dev many; ip link set many up")
	sh(t, "cd /proc/sys/net/ipv4/neigh/default; echo 400 >gc_thresh3; echo 400 >gc_thresh2; echo 400 >gc_thresh1")
	audit(t).Want()
	pod := lab.NewNS(t, "pod") // the entries of all namespaces count together
	pod.Sh("ip link add many type dummy; ip addr add 10.78.0.1/16 dev many; ip link set many up")
	fill := func(from, to int) string {
		return fmt.Sprintf("for i in $(seq %d %d); do echo neigh add $N.$((i/250)).$((2+i%%250)) lladdr 02:00:00:00:00:01 dev many nud reachable; done | ip -b -", from, to)
	}
	sh(t, "N=10.77; "+fill(1, 200))
	pod.Sh("N=10.78; " + fill(1, 170))
	add(t, "neigh-overflow", 115)
	mend(t, audit(t).Want("critical neigh-overflow net.ipv4.neigh.default.gc_thresh3"))
	audit(t).Want().Judged("neigh-overflow")
	add(t, "neigh-overflow", 0)
}
