package host

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

func TestIPVSSetName(t *testing.T) {
	for _, tt := range []struct {
		name, short string
		proto       uint8
	}{
		{"KUBE-CLUSTER-IP", setClusterIP, 0},
		{"KUBE-6-LOAD-BALANCER-SOURCE-CID", setSourceCIDR, 0},
		{"KUBE-NODE-PORT-LOCAL-TCP", setNodePortLocal + "TCP", unix.IPPROTO_TCP},
		{"KUBE-6-NODE-PORT-LOCAL-SCTP-HAS", setNodePortLocal + "SCTP", 0},
		{"KUBE-NODE-PORT-SCTP-HASH", setNodePort + "SCTP", 0},
		{"KUBE-6-NODE-PORT-UDP", setNodePort + "UDP", unix.IPPROTO_UDP},
		{"KUBE-HEALTH-CHECK-NODE-PORT", setHealth, unix.IPPROTO_TCP},
		{"KUBE-LOOP-BACK", "", 0},
	} {
		if short, proto := ipvsSetName(tt.name); short != tt.short || proto != tt.proto {
			t.Errorf("ipvsSetName(%s) = %s, %d; want %s, %d", tt.name, short, proto, tt.short, tt.proto)
		}
	}
}

// FuzzIPSet has a set of kube-proxy's as the kernel listed it, put together from its parts, and damaged ones.
func FuzzIPSet(f *testing.F) {
	member := appendAttr(nil, ipsetIP|unix.NLA_F_NESTED, appendAttr(nil, 1|unix.NLA_F_NET_BYTEORDER, []byte{10, 96, 0, 1}))
	member = appendAttr(member, ipsetPort|unix.NLA_F_NET_BYTEORDER, []byte{1, 187})
	member = appendAttr(member, ipsetProto, []byte{unix.IPPROTO_TCP})
	body := appendAttr([]byte{unix.AF_INET, 0, 0, 0}, ipsetProtocol, []byte{ipsetProtocolMust})
	body = appendAttr(body, ipsetSetName, nulString("KUBE-CLUSTER-IP"))
	body = appendAttr(body, ipsetIndex|unix.NLA_F_NET_BYTEORDER, []byte{0, 3})
	body = appendAttr(body, ipsetADT|unix.NLA_F_NESTED, appendAttr(nil, ipsetData|unix.NLA_F_NESTED, member))
	f.Add(appendMessage(nil, ipsetList, 0, 0, 0, body))
	want := ipsetMember{front: svcFront{netip.MustParseAddr("10.96.0.1"), 443, unix.IPPROTO_TCP}}
	if got := parseIPSetMember(member); got != want {
		f.Errorf("parseIPSetMember = %+v; want %+v", got, want)
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		nf := newBlobDumper(blob)
		names, err := ipsetNames(nf, "KUBE-")
		if err != nil {
			return
		}
		for i := range names {
			n := 0
			if ipsetMembers(nf, names[i], func(ipsetMember) { n++ }) == nil && n > len(blob) {
				t.Fatalf("%d members in %d bytes", n, len(blob))
			}
		}
	})
}

// TestIPSets reads sets as the kernel lists them.
func TestIPSets(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("ipset create KUBE-CLUSTER-IP hash:ip,port; ipset add KUBE-CLUSTER-IP 10.96.0.1,tcp:443; ipset create OTHER hash:ip; " +
		"ipset create KUBE-6-LOAD-BALANCER-SOURCE-CID hash:ip,port,net family inet6; ipset add KUBE-6-LOAD-BALANCER-SOURCE-CID 2001:db8::1,sctp:80,2001:db8:1::/48; " +
		"ipset create KUBE-NODE-PORT-TCP bitmap:port range 0-65535; ipset add KUBE-NODE-PORT-TCP 30080")
	got := inNS(t, h, func() (map[string][]ipsetMember, error) {
		c, err := openSvcConn(unix.NETLINK_NETFILTER, briefBuffer())
		if err != nil {
			return nil, err
		}
		defer c.close()
		names, err := ipsetNames(c, "KUBE-")
		if err != nil {
			return nil, err
		}
		all := map[string][]ipsetMember{}
		for _, name := range names {
			if err := ipsetMembers(c, name, func(m ipsetMember) { all[name] = append(all[name], m) }); err != nil {
				return nil, err
			}
		}
		return all, ipsetMembers(c, "KUBE-ABSENT", func(ipsetMember) { t.Error("a set that does not exist has a member") })
	})
	want := map[string][]ipsetMember{
		"KUBE-CLUSTER-IP":                 {{front: svcFront{netip.MustParseAddr("10.96.0.1"), 443, unix.IPPROTO_TCP}}},
		"KUBE-6-LOAD-BALANCER-SOURCE-CID": {{front: svcFront{netip.MustParseAddr("2001:db8::1"), 80, unix.IPPROTO_SCTP}, source: netip.MustParsePrefix("2001:db8:1::/48")}},
		"KUBE-NODE-PORT-TCP":              {{front: svcFront{port: 30080}}},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(ipsetMember{}, svcFront{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("sets (-want +got):\n%s", d)
	}
}

// TestIPVSMasquerade reads the rules that look kube-proxy's sets up.
func TestIPVSMasquerade(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(`ipset create KUBE-6-CLUSTER-IP hash:ip,port family inet6; ipset create KUBE-6-LOAD-BALANCER hash:ip,port family inet6
ipset create KUBE-6-LOAD-BALANCER-LOCAL hash:ip,port family inet6; ipset create KUBE-6-NODE-PORT-TCP bitmap:port range 0-65535
ip6tables-nft-restore <<END
*nat
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-LOAD-BALANCER - [0:0]
:KUBE-NODE-PORT - [0:0]
-A KUBE-SERVICES -s ::1/128 -j RETURN
-A KUBE-SERVICES -m comment --comment "Kubernetes service lb portal" -m set --match-set KUBE-6-LOAD-BALANCER dst,dst -j KUBE-LOAD-BALANCER
-A KUBE-SERVICES -m comment --comment "Kubernetes service cluster ip + port for masquerade purpose" -m set --match-set KUBE-6-CLUSTER-IP src,dst -j KUBE-MARK-MASQ
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODE-PORT
-A KUBE-SERVICES -m set --match-set KUBE-6-CLUSTER-IP dst,dst -j ACCEPT
-A KUBE-LOAD-BALANCER -m set --match-set KUBE-6-LOAD-BALANCER-LOCAL dst,dst -j RETURN
-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ
-A KUBE-NODE-PORT -p tcp -m set --match-set KUBE-6-NODE-PORT-TCP dst -j KUBE-MARK-MASQ
COMMIT
END`)
	got := inNS(t, h, func() (ipvsMasq, error) {
		c, err := openSvcConn(unix.NETLINK_NETFILTER, briefBuffer())
		if err != nil {
			return ipvsMasq{}, err
		}
		defer c.close()
		names, err := ipsetNames(c, "KUBE-")
		if err != nil {
			return ipvsMasq{}, err
		}
		return readIPVSMasq(newNFTSource(c, unix.NFPROTO_IPV6), names)
	})
	want := ipvsMasq{cluster: facts.MasqNode, balancer: true, balancerSkip: true, ports: map[string]bool{"TCP": true}, skips: map[string]bool{}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(ipvsMasq{})); d != "" {
		t.Errorf("rules (-want +got):\n%s", d)
	}
}
