package host

import (
	"bytes"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// svcIPTables resolves the chains of kube-proxy's iptables mode, of one family and one backend: KUBE-SERVICES and KUBE-NODEPORTS to a chain for each port of a
// Service, KUBE-SVC- or KUBE-SVL-, perhaps by way of KUBE-FW- and KUBE-EXT-, to a chain for each endpoint, KUBE-SEP-, to its DNAT.
type svcIPTables struct {
	svcChains
	outers map[string]svcOuter // KUBE-EXT- and KUBE-FW- by chain
	pooled svcPool             // of the chain that is read
	left   float64             // of all connections, what comes to the chain's next rule
}

func newSvcIPTables(src svcSource, family int, trace bool) *svcIPTables {
	x := &svcIPTables{svcChains: newSvcChains(src, family, trace, "nat"), outers: map[string]svcOuter{}}
	x.marks, x.endpoints = services.ChainMarkMasq, services.PrefixEndpoint
	x.remembers = bytes.Equal
	x.takePool = x.poolRule
	return x
}

// read resolves everything of the family.
func (x *svcIPTables) read() error {
	var entries svcChunks[svcEntry]
	ports, err := x.services(&entries)
	if err != nil {
		return err
	}
	if ports {
		if err := x.nodePorts(&entries); err != nil {
			return err
		}
	}
	x.room(entries.n)
	for e := range entries.all() {
		if err := x.resolve(e); err != nil {
			return err
		}
	}
	if err := x.filter(); err != nil {
		return err
	}
	if err := x.firewalled(); err != nil {
		return err
	}
	if err := x.health(); err != nil {
		return err
	}
	if err := x.whole(); err != nil {
		return err
	}
	return x.ahead()
}

// services reads KUBE-SERVICES, and says whether it leads to the node ports.
func (x *svcIPTables) services(entries *svcChunks[svcEntry]) (ports bool, err error) {
	x.scope = facts.NodePortScope{Family: x.family}
	unknown, last := "", svcEntry{}
	err = x.src.rules("nat", services.ChainServices, func(r *svcRule) error {
		front, ok := r.front()
		switch {
		case string(r.target) == services.ChainNodePorts && r.jumps():
			ports = x.scopeRule(r) || ports
		case r.unknown != "" && r.verdict != svcNone || !ok && r.verdict != svcNone && r.verdict != svcMark && string(r.target) != services.ChainMarkMasq:
			// Whatever it matches does not come to the rules behind it.
			unknown = services.ChainServices + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		case r.jumps() && string(r.target) == services.ChainMarkMasq:
			last = svcEntry{front: svcFront{r.dst.prefix.Addr(), r.port, r.proto}, before: facts.MasqAll}
			if r.src.set() || r.has&matchLink != 0 {
				last.before = facts.MasqOffCluster
			}
		case r.jumps():
			e := svcEntry{front: front, kind: svcKind(r), name: svcName(r.comment), chain: string(r.target), unknown: unknown}
			if last.front == front {
				e.before = last.before
			}
			entries.add(e)
		}
		return nil
	})
	return ports, err
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// scopeRule takes a rule that leads to the node ports: for local addresses, or for one.
func (x *svcIPTables) scopeRule(r *svcRule) bool {
	host, one := r.dst.host()
	switch {
	case r.unknown != "" || r.src.set() || r.proto != 0:
		return false
	case r.has == matchDstLocal && (!r.dst.set() || r.dst.negated && r.dst.prefix.Addr().IsLoopback()):
		x.scope.All, x.scope.Loopback = true, x.family == 4 && !r.dst.set()
	case one && r.only(0):
		x.scope.Addresses = append(x.scope.Addresses, host)
	default:
		return false
	}
	return true
}

// svcKind tells of which kind a frontend is by the chain that it leads to, and an external IP from a load balancer's by what kube-proxy comments.
func svcKind(r *svcRule) string {
	switch {
	case bytes.HasPrefix(r.target, []byte(services.PrefixFirewall)), bytes.HasSuffix(r.comment, []byte(" loadbalancer IP")):
		return facts.FrontLoadBalancer
	case bytes.HasPrefix(r.target, []byte(services.PrefixExternal)):
		return facts.FrontExternal
	}
	return facts.FrontCluster
}

// svcName is the port's name in a comment of kube-proxy's, such as "default/kubernetes:https cluster IP".
func svcName(comment []byte) string {
	name, _, _ := bytes.Cut(comment, []byte{' '})
	if !bytes.Contains(name, []byte{'/'}) {
		return ""
	}
	return string(name)
}

// nodePorts reads KUBE-NODEPORTS. For loopback addresses kube-proxy has rules of their own in front, which count and lead to the same chains.
func (x *svcIPTables) nodePorts(entries *svcChunks[svcEntry]) error {
	unknown := ""
	return x.src.rules("nat", services.ChainNodePorts, func(r *svcRule) error {
		front, ok := r.nodePort()
		switch {
		case r.dst.set() && !r.dst.negated && r.dst.prefix.Addr().IsLoopback():
		case r.unknown != "" && r.verdict != svcNone || !ok && r.verdict != svcNone:
			unknown = services.ChainNodePorts + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		case r.jumps() && strings.HasPrefix(string(r.target), "KUBE-") && string(r.target) != services.ChainMarkMasq:
			entries.add(svcEntry{front: front, kind: facts.FrontNodePort, name: svcName(r.comment), chain: string(r.target), unknown: unknown})
		}
		return nil
	})
}

// resolve makes the paths of one frontend.
func (x *svcIPTables) resolve(e *svcEntry) error {
	link := x.link("", "nat "+services.ChainServices)
	if e.kind == facts.FrontNodePort {
		link = x.link("", "nat "+services.ChainNodePorts)
	}
	outer := svcOuter{rest: e.chain}
	if !strings.HasPrefix(e.chain, services.PrefixCluster) && !strings.HasPrefix(e.chain, services.PrefixLocal) {
		var err error
		if outer, err = x.outer(e.chain); err != nil {
			return err
		}
		link = append(link, outer.trace...)
	}
	return x.ways(e, &outer, link, x.pool)
}

func (x *svcIPTables) outer(chain string) (svcOuter, error) {
	if o, ok := x.outers[chain]; ok {
		return o, nil
	}
	read := x.external
	if strings.HasPrefix(chain, services.PrefixFirewall) {
		read = x.firewall
	} else if !strings.HasPrefix(chain, services.PrefixExternal) {
		return svcOuter{unknown: "it leads to " + chain + ", which is not kube-proxy's"}, nil
	}
	o, err := read(chain)
	if err == nil {
		o.trace = x.link(chain, "")
		x.outers[chain] = o
	}
	return o, err
}

// firewall reads a KUBE-FW- chain, which leads to KUBE-EXT- for some sources.
func (x *svcIPTables) firewall(chain string) (o svcOuter, err error) {
	next, unknown := "", ""
	var sources []netip.Prefix
	all := false
	err = x.src.rules("nat", chain, func(r *svcRule) error {
		switch {
		case r.verdict == svcNone || all:
		case r.unknown != "" || !r.jumps() || r.src.negated || r.dst.set() || r.proto != 0 || !r.only(0) || next != "" && next != string(r.target):
			unknown = chain + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		default:
			next, all = string(r.target), !r.src.set()
			sources = append(sources, r.src.prefix)
		}
		return nil
	})
	if err != nil || next == "" {
		return svcOuter{unknown: unknown}, err
	}
	if !strings.HasPrefix(next, services.PrefixExternal) { // a chain could lead to itself, but for the kernel
		return svcOuter{unknown: chain + ": it leads to " + next + ", which is not kube-proxy's"}, nil
	}
	if o, err = x.outer(next); err != nil {
		return o, err
	}
	if !all {
		o.sources = sortPrefixes(sources)
	}
	o.unknown = firstOf(o.unknown, unknown)
	return o, nil
}

// family6 says which of the two families the kernel's number is.
func svcFamily(proto uint8) int {
	if proto == unix.NFPROTO_IPV6 {
		return 6
	}
	return 4
}
