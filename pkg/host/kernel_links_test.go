package host_test

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// newPeer is a second namespace for a test.
func newPeer(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, name: fmt.Sprintf("nmp-%d-%s", os.Getpid(), strings.Map(letter, t.Name()))}
	b.must("ip", "netns", "add", b.name)
	t.Cleanup(func() { b.must("ip", "netns", "del", b.name) })
	h, err := host.Open(host.Options{NetNS: "/run/netns/" + b.name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	b.host = h
	return b
}

// read calls fn in the bench's namespace.
func read[T any](b *bench, fn func(*host.NS) (T, error)) (v T) {
	b.t.Helper()
	n := b.host.Node()
	if err := n.Do(func() (err error) { v, err = fn(n); return err }); err != nil {
		b.t.Fatal(err)
	}
	return v
}

func comparePlain() cmp.Option {
	return cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })}
}

func links(b *bench) map[string]facts.Link {
	b.t.Helper()
	all := map[string]facts.Link{}
	for _, l := range read(b, (*host.NS).Links) {
		all[l.Name] = l
	}
	return all
}

func TestVXLANLinks(t *testing.T) {
	b := newBench(t,
		"ip link add eth0 type veth peer name eth1; ip link set eth0 up; ip link set eth1 up",
		"ip addr add 192.0.2.1/24 dev eth0; ip addr add fd00:1::1/64 dev eth0 nodad",
		"ip link add four type vxlan id 1 dev eth0 local 192.0.2.1 dstport 8472 nolearning udpcsum",
		"ip link add nocsum type vxlan id 2 dev eth0 local 192.0.2.1 dstport 4789 noudpcsum df set",
		"ip link add six type vxlan id 3 local fd00:1::1 remote fd00:1::2 dstport 8472",
		"ip link add six0 type vxlan id 4 local fd00:1::1 dstport 4790 udp6zerocsumtx udp6zerocsumrx df inherit",
		"ip link add meta type vxlan external dstport 4791",
	)
	got := links(b)
	eth0 := got["eth0"].Index
	for name, want := range map[string]facts.Link{
		"four": {Parent: eth0, Tunnel: &facts.Tunnel{
			Local: netip.MustParseAddr("192.0.2.1"), ID: 1, Port: 8472, UDPCsum: new(true), CSum6Tx: new(true), DF: "unset",
		}},
		"nocsum": {Parent: eth0, Tunnel: &facts.Tunnel{
			Local: netip.MustParseAddr("192.0.2.1"), ID: 2, Port: 4789, UDPCsum: new(false), CSum6Tx: new(true), DF: "set", Learn: true,
		}},
		"six": {Tunnel: &facts.Tunnel{
			Local: netip.MustParseAddr("fd00:1::1"), Remote: netip.MustParseAddr("fd00:1::2"), ID: 3, Port: 8472, UDPCsum: new(true),
			CSum6Tx: new(true), DF: "unset", Learn: true,
		}},
		"six0": {Tunnel: &facts.Tunnel{
			Local: netip.MustParseAddr("fd00:1::1"), ID: 4, Port: 4790, UDPCsum: new(true), CSum6Tx: new(false), DF: "inherit", Learn: true,
		}},
		"meta": {Tunnel: &facts.Tunnel{Port: 4791, UDPCsum: new(true), CSum6Tx: new(true), DF: "unset", Collect: true}},
	} {
		l := got[name]
		if l.Kind != "vxlan" || l.Parent != want.Parent {
			t.Errorf("%s is of kind %q on link %d; want vxlan on %d", name, l.Kind, l.Parent, want.Parent)
		}
		if name == "meta" {
			l.Tunnel.Learn = false // differs between kernels
		}
		if d := cmp.Diff(want.Tunnel, l.Tunnel, comparePlain()); d != "" {
			t.Errorf("tunnel of %s (-want +got):\n%s", name, d)
		}
	}
}

func TestBridgeAndPairLinks(t *testing.T) {
	b := newBench(t,
		"ip link add br0 type bridge; ip link set br0 up promisc on",
		"ip link add v0 mtu 1400 type veth peer name v1 mtu 1300; ip link set v0 address 02:00:00:00:00:01",
		"ip link set v0 master br0; ip link set v1 up; ip link set v0 up type bridge_slave hairpin on",
		"ip link add mv0 link v1 type macvlan mode bridge",
	)
	other := newPeer(t)
	b.sh("ip link add far type veth peer name eth0 netns " + other.name)
	got := links(b)
	br0, v0, v1, mv0, far := got["br0"], got["v0"], got["v1"], got["mv0"], got["far"]
	if br0.Kind != "bridge" || !br0.Up || !br0.Promisc {
		t.Errorf("br0 = %+v; want a bridge that is up and promiscuous", br0)
	}
	want := facts.Link{
		Index: v0.Index, Name: "v0", Kind: "veth", MTU: 1400, Up: true, Running: true, MAC: "02:00:00:00:00:01",
		Master: br0.Index, Parent: v1.Index, Port: &facts.BridgePort{State: v0.Port.State, Hairpin: true},
	}
	v0.RxDropped, v0.TxDropped = 0, 0
	if d := cmp.Diff(want, v0); d != "" {
		t.Errorf("v0 (-want +got):\n%s", d)
	}
	if !slices.Contains([]string{"forwarding", "learning", "listening"}, v0.Port.State) {
		t.Errorf("state of v0 = %q", v0.Port.State)
	}
	if v1.Parent != v0.Index || v1.MTU != 1300 || v1.Port != nil || v1.PeerNSID != nil {
		t.Errorf("v1 = %+v; want the other end of v0 in the same namespace", v1)
	}
	if mv0.Kind != "macvlan" || mv0.Parent != v1.Index || mv0.Up {
		t.Errorf("mv0 = %+v; want a macvlan on v1 that is down", mv0)
	}
	if far.PeerNSID == nil || far.Parent != links(other)["eth0"].Index {
		t.Errorf("far = %+v; want a pair with a link of another namespace", far)
	}
	ns, err := b.host.Namespace("/run/netns/" + other.name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	id, err := b.host.Node().ID(ns)
	if err != nil || id == nil || far.PeerNSID != nil && *id != *far.PeerNSID {
		t.Errorf("ID() = %v, %v; want %v", id, err, far.PeerNSID)
	}
	if lo := got["lo"]; !lo.Loopback || lo.Kind != "" || lo.MAC != "" {
		t.Errorf("lo = %+v", lo)
	}
}

// unrelated namespaces have no id for each other.
func TestNamespaceWithoutID(t *testing.T) {
	b, other := newBench(t), newPeer(t)
	links(b)
	ns, err := b.host.Namespace("/run/netns/" + other.name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if id, err := b.host.Node().ID(ns); id != nil || err != nil {
		t.Errorf("ID() = %v, %v; want none", *id, err)
	}
}

func TestFeaturesAreThoseOfEthtool(t *testing.T) {
	b := newBench(t,
		"ip link add v0 type veth peer name v1; ip link add br0 type bridge",
		"ip link add vx type vxlan id 1 dstport 8472 local 127.0.0.1; ethtool -K vx tx-checksum-ip-generic off",
	)
	e := read(b, (*host.NS).Ethtool)
	defer e.Close()
	for _, link := range []string{"lo", "v0", "br0", "vx"} {
		got, err := e.Features(link)
		if err != nil {
			t.Fatal(err)
		}
		want := printed(b.sh("ethtool -k " + link))
		maps.DeleteFunc(want, func(_ string, f facts.Feature) bool { return !f.On && f.Fixed })
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("features of %s (-ethtool +got):\n%s", link, d)
		}
	}
	if f, err := e.Features("vx"); err != nil || f[facts.FeatureTxChecksum] != (facts.Feature{}) {
		t.Errorf("%s of vx = %+v, %v; want off and not fixed", facts.FeatureTxChecksum, f[facts.FeatureTxChecksum], err)
	}
	for link, want := range map[string]string{"v0": "veth", "br0": "bridge", "vx": "vxlan"} {
		if got, err := e.Driver(link); err != nil || got != want {
			t.Errorf("Driver(%s) = %q, %v; want %q", link, got, err, want)
		}
	}
	for _, link := range []string{"gone", strings.Repeat("x", 100), ""} {
		if _, err := e.Features(link); err == nil {
			t.Errorf("Features(%q) succeeded", link)
		}
	}
}

// printed reads what ethtool -k prints: "name: on [fixed]". Lines behind which indented ones stand are groups.
func printed(text string) map[string]facts.Feature {
	all := map[string]facts.Feature{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		m := regexp.MustCompile(`^\t?([a-z0-9_-]+): (on|off)( \[fixed\])?`).FindStringSubmatch(line)
		group := line != "" && line[0] != '\t' && i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t")
		if m != nil && !group {
			all[m[1]] = facts.Feature{On: m[2] == "on", Fixed: m[3] != ""}
		}
	}
	return all
}

func TestFDB(t *testing.T) {
	b := newBench(t,
		"ip link add vx type vxlan id 1 dstport 8472 local 127.0.0.1; ip link set vx up",
		"bridge fdb add 02:00:00:00:00:09 dev vx dst 192.0.2.9; bridge fdb append 00:00:00:00:00:00 dev vx dst fd00::9 2>/dev/null || true",
		"ip link add br0 type bridge; ip link add v0 type veth peer name v1; ip link set v0 master br0",
		"bridge fdb add 02:00:00:00:00:08 dev v0 master static",
	)
	got, index := read(b, (*host.NS).FDB), links(b)
	for _, want := range []facts.FDBEntry{
		{Link: index["vx"].Index, MAC: "02:00:00:00:00:09", Dst: netip.MustParseAddr("192.0.2.9"), Self: true, State: "permanent"},
		{Link: index["v0"].Index, MAC: "02:00:00:00:00:08", State: "static"},
	} {
		if !slices.Contains(got, want) {
			t.Errorf("FDB() has no %+v: %+v", want, got)
		}
	}
	for _, e := range got {
		if strings.HasPrefix(e.MAC, "33:33") || strings.HasPrefix(e.MAC, "01:00:5e") {
			t.Errorf("FDB() has the multicast address %s", e.MAC)
		}
	}
}
