package nodereport

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// BenchmarkReport makes a report of a node of a flannel cluster of 5,000 nodes that has 250 pods and 20 findings. The loop of the daemon pays for See, once for
// each look at the node.
func BenchmarkReport(b *testing.B) {
	s := node()
	for i := range 5000 {
		peer, net := netip.AddrFrom4([4]byte{192, 0, 2, 12}), netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
		s.Host.FDB = append(s.Host.FDB, facts.FDBEntry{Link: 3, MAC: fmt.Sprint(i), Dst: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})})
		s.Host.Routes = append(s.Host.Routes, facts.Route{Dst: netip.PrefixFrom(net, 24), Gateway: peer, Link: 3, Type: "unicast", Table: facts.TableMain})
	}
	for i := range 250 {
		id := 100 + i
		s.Host.Links = append(s.Host.Links, facts.Link{Index: 100 + i, Name: fmt.Sprint("veth", i), Kind: "veth", Up: true, MTU: 1450, Master: 4, Parent: 2, PeerNSID: &id})
		s.Pods = append(s.Pods, facts.Namespace{Inode: uint64(100 + i), NSID: &id, Links: []facts.Link{{Index: 2, Name: "eth0", Up: true, MTU: 1450}},
			Addresses: []facts.Address{{Link: 2, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 1, byte(i)}), 24), Scope: "global"}}})
	}
	d := document()
	for i := range 20 {
		d.Findings = append(d.Findings, finding(fmt.Sprint("check-", i), "x", "something of 12 is wrong", check.Warning))
	}
	b.Run("See", func(b *testing.B) {
		var m Memory
		for b.Loop() {
			m.seen = nil
			m.See(d, s)
		}
	})
	var m Memory
	m.See(d, s)
	was := From(d, s, &m)
	b.Run("From", func(b *testing.B) {
		for b.Loop() {
			From(d, s, &m)
		}
	})
	d.Findings[3].Message = "something of 13 is wrong"
	is := From(d, s, &m)
	b.Run("Compare", func(b *testing.B) {
		for b.Loop() {
			if Compare(&was, &is) != Numbers {
				b.Fatal("not only numbers differ")
			}
		}
	})
}
