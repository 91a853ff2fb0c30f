package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Names of IPVS mode beyond those of package services (ipvs/proxier.go, ipvs/ipset.go). Those of IPv6's sets begin with KUBE-6-.
const (
	ipvsNodePortChain     = "KUBE-NODE-PORT"
	ipvsLoadBalancerChain = "KUBE-LOAD-BALANCER"
	ipvsRangesChain       = "KUBE-SOURCE-RANGES-FIREWALL"

	setClusterIP     = "CLUSTER-IP"
	setExternal      = "EXTERNAL-IP"
	setExternalLocal = "EXTERNAL-IP-LOCAL"
	setBalancer      = "LOAD-BALANCER"
	setBalancerLocal = "LOAD-BALANCER-LOCAL"
	setBalancerFW    = "LOAD-BALANCER-FW"
	setSourceIP      = "LOAD-BALANCER-SOURCE-IP"
	setSourceCIDR    = "LOAD-BALANCER-SOURCE-CIDR"
	setNodePort      = "NODE-PORT-"       // and a protocol
	setNodePortLocal = "NODE-PORT-LOCAL-" // and a protocol
	setHealth        = "HEALTH-CHECK-NODE-PORT"
)

// svcIPVS puts together what IPVS mode holds.
type svcIPVS struct {
	svcBuilder
	list    []virtualServer
	line    []byte                       // what is added to the hash
	sets    map[string]map[svcFront]bool // by name without KUBE- or KUBE-6-, of both families
	sources map[svcFront][]netip.Prefix
	hash    hasher
	masq    [2]ipvsMasq // of IPv4, of IPv6
}

func newSvcIPVS(hash hasher, trace bool) *svcIPVS {
	return &svcIPVS{hash: hash, svcBuilder: svcBuilder{trace: trace}, sets: map[string]map[svcFront]bool{}, sources: map[svcFront][]netip.Prefix{}}
}

// context reads what is not in the list of servers.
func (x *svcIPVS) context(r *ServiceReader) error {
	if r.ns.unloaded("netfilter/ipset/ip_set") {
		return nil
	}
	nf, err := r.netfilter()
	if err != nil || nf == nil {
		return err
	}
	before, _, err := r.generation()
	if err != nil {
		return err
	}
	names, err := ipsetNames(nf, "KUBE-")
	if err != nil {
		return err
	}
	if err := x.readSets(nf, names); err != nil {
		return err
	}
	for i, f := range legacyFamilies() {
		src, err := r.ipvsSource(nf, f)
		if err != nil {
			return err
		}
		if x.masq[i], err = readIPVSMasq(src, names); err != nil {
			return err
		}
	}
	_, _ = x.hash.Write(fmt.Appendf(nil, "%v", x.masq))
	if after, _, err := r.generation(); err != nil || after != before {
		return errors.Join(err, ErrInterrupted)
	}
	return nil
}

// ipvsSource finds the backend that holds the rules of IPVS mode in one family.
func (r *ServiceReader) ipvsSource(nf nfDumper, f legacyFamily) (svcSource, error) {
	names, err := r.ns.legacyNames(f)
	if err != nil {
		return nil, err
	}
	var legacy *legacySource
	for _, name := range names {
		if name != "nat" && name != "filter" {
			continue
		}
		t, err := f.read(name)
		if err != nil {
			return nil, err
		}
		if legacy == nil {
			legacy = newLegacySource(f)
		}
		legacy.add(t)
	}
	return chooseSource(nf, f.proto, legacy)
}

func (x *svcIPVS) readSets(nf nfDumper, names map[uint16]string) error {
	indexes := make([]uint16, 0, len(names))
	for i := range names {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	for _, i := range indexes {
		name := names[i]
		short, proto := ipvsSetName(name)
		if short == "" {
			continue
		}
		if x.sets[short] == nil {
			x.sets[short] = map[svcFront]bool{}
		}
		var sum [4]byte
		err := ipsetMembers(nf, name, func(m ipsetMember) {
			if proto != 0 {
				m.front.proto = proto
			}
			x.sets[short][m.front] = true
			if m.source.IsValid() {
				x.sources[m.front] = append(x.sources[m.front], m.source.Masked())
			}
			sum[0] += uint8(m.front.port) // the kernel lists a set in no order
			sum[1] += uint8(m.front.port >> 8)
			sum[2] ^= m.front.proto
			sum[3] ^= uint8(m.source.Bits())
		})
		if err != nil {
			return err
		}
		_, _ = x.hash.Write(append([]byte(name), sum[:]...))
	}
	return nil
}

// ipvsSetName is a set's name without the start that tells its family, and the protocol that a set of ports alone is for; empty for sets that tell nothing here.
func ipvsSetName(name string) (short string, proto uint8) {
	short, ok := strings.CutPrefix(name, "KUBE-6-")
	if !ok {
		short, _ = strings.CutPrefix(name, "KUBE-")
	}
	switch short {
	case "LOOP-BACK", "IPVS-IPS":
		return "", 0
	case setHealth:
		return short, unix.IPPROTO_TCP
	}
	switch {
	case strings.HasSuffix(short, "-TCP"):
		proto = unix.IPPROTO_TCP
	case strings.HasSuffix(short, "-UDP"):
		proto = unix.IPPROTO_UDP
	}
	// A name of IPv6 has at most 31 bytes: KUBE-6-LOAD-BALANCER-SOURCE-CIDR and KUBE-6-NODE-PORT-LOCAL-SCTP-HASH are cut.
	if cut := strings.TrimSuffix(short, "-HASH"); cut != short {
		short = cut
	}
	switch short {
	case "LOAD-BALANCER-SOURCE-CID":
		short = setSourceCIDR
	case "NODE-PORT-LOCAL-SCTP-HAS":
		short = setNodePortLocal + "SCTP"
	}
	return short, proto
}

func (x *svcIPVS) rules() *facts.ServiceRules {
	out := &facts.ServiceRules{Mode: facts.ModeIPVS, Families: []int{4, 6}, Paths: make([]facts.ServicePath, 0, len(x.list))}
	for i := range x.list {
		s := &x.list[i]
		p := facts.ServicePath{Family: 4, VIP: s.front.addr, Port: s.front.port, Protocol: svcProto(s.front.proto), Backends: s.backends, Affinity: s.affinity}
		if s.front.addr.Is6() {
			p.Family = 6
		}
		x.place(&p, s.front)
		if x.trace {
			p.Trace = []string{"virtual server " + s.front.String()}
		}
		if p.Port != 0 {
			out.Paths = append(out.Paths, p)
		}
	}
	for i, family := range [...]int{4, 6} {
		for front := range x.sets[setHealth] {
			if x.masq[i].health {
				out.Paths = append(out.Paths, facts.ServicePath{Kind: facts.FrontHealth, Family: family, Port: front.port, Protocol: svcProto(front.proto)})
			}
		}
	}
	facts.SortPaths(out.Paths, nil)
	return out
}

// place tells of which kind a server is, and who is masqueraded on the way to it, by the sets that have it.
func (x *svcIPVS) place(p *facts.ServicePath, front svcFront) {
	m := &x.masq[0]
	if p.Family == 6 {
		m = &x.masq[1]
	}
	in := func(set string) bool { return x.sets[set][front] }
	proto := strings.ToUpper(p.Protocol)
	port := svcFront{port: front.port, proto: front.proto}
	node := func(set string) bool { return in(set+proto) || x.sets[set+proto][port] }
	p.Unknown = m.unknown
	switch {
	case in(setClusterIP):
		p.Kind, p.Masquerade = facts.FrontCluster, m.cluster
	case in(setExternal), in(setExternalLocal):
		p.Kind = facts.FrontExternal
		if m.external && in(setExternal) {
			p.Masquerade = facts.MasqAll
		}
	case in(setBalancer):
		p.Kind = facts.FrontLoadBalancer
		if m.balancer && !(m.balancerSkip && in(setBalancerLocal)) {
			p.Masquerade = facts.MasqAll
		}
	case node(setNodePort):
		p.Kind = facts.FrontNodePort
		if m.ports[proto] && !(m.skips[proto] && node(setNodePortLocal)) {
			p.Masquerade = facts.MasqAll
		}
	default:
		p.Unknown = firstOf(p.Unknown, "none of kube-proxy's sets has it")
	}
	if in(setBalancerFW) && m.ranges {
		p.Sources = sortPrefixes(slices.Clone(x.sources[front]))
	}
}
