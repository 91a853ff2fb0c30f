package host

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

func noEntry(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// some says whether a chain has a rule.
func (x *svcChains) some(chain string, is func(r *svcRule) bool) (found bool, err error) {
	err = x.src.rules(x.table, chain, func(r *svcRule) error {
		found = found || is(r)
		return nil
	})
	return found, err
}

// services reads the chain that looks up frontends: the one of addresses, then that of node ports for local addresses or those of a set. What is told is why
// the paths of each are not understood; empty where they are. The map of addresses is looked up without condition, or not by kube-proxy.
func (x *svcNFTables) services() (addresses, ports string, err error) {
	odd := ""
	addressed, ported := false, false
	err = x.src.rules(x.table, nftServicesChain, func(r *svcRule) error {
		plain := r.unknown == "" && !r.src.set() && r.proto == 0 && !r.hasPort && r.only(matchSet|matchDstLocal)
		switch {
		case plain && r.setVerdict && r.setKey == svcKeyFront && string(r.set) == services.MapServiceIPs && !r.dst.set() && r.has == matchSet:
			addressed, addresses = true, odd
		case plain && r.setVerdict && r.setKey == svcKeyNodePort && string(r.set) == services.MapServiceNodePorts && r.has&matchDstLocal != 0:
			ported, ports = true, odd
			x.scope.All, x.scope.Loopback = true, !r.dst.set()
		case plain && r.setKey == svcKeyDest && string(r.set) == services.SetNodePortIPs && !r.setNegated && string(r.ports) == services.MapServiceNodePorts && !r.dst.set() && r.has == matchSet:
			ported, ports = true, odd
		case r.verdict != svcNone || r.unknown != "":
			odd = nftServicesChain + ": " + firstOf(r.unknown, "a rule that is not kube-proxy's")
		}
		return nil
	})
	if !addressed {
		x.lost = append(x.lost, nftServicesChain+" to map "+services.MapServiceIPs)
	}
	if !ported {
		x.lostPorts = append(x.lostPorts, nftServicesChain+" to map "+services.MapServiceNodePorts)
	}
	return addresses, ports, err
}

// whole looks at the links that all paths share.
func (x *svcNFTables) whole() error {
	translated := func(p *facts.ServicePath) bool { return len(p.Backends) > 0 }
	for _, why := range x.lost {
		x.breaks(why, func(p *facts.ServicePath) bool { return translated(p) && p.VIP.IsValid() })
	}
	for _, why := range x.lostPorts {
		x.breaks(why, func(p *facts.ServicePath) bool { return translated(p) && !p.VIP.IsValid() })
	}
	for _, why := range x.lostRanges {
		x.breaks(why, func(p *facts.ServicePath) bool { return translated(p) && len(p.Sources) > 0 })
	}
	masqueraded := func(p *facts.ServicePath) bool { return p.Masquerade != 0 }
	for _, link := range [...]struct {
		chain, why string
		does       func(r *svcRule) bool
		needs      func(p *facts.ServicePath) bool
	}{
		{"nat-prerouting", "nat-prerouting to " + nftServicesChain, func(r *svcRule) bool { return string(r.target) == nftServicesChain && r.bare() }, translated},
		{"nat-output", "nat-output to " + nftServicesChain, func(r *svcRule) bool { return string(r.target) == nftServicesChain && r.bare() }, translated},
		{nftMarkChain, nftMarkChain, func(r *svcRule) bool { return r.verdict == svcMark }, masqueraded},
		{"nat-postrouting", "nat-postrouting to " + nftMasqChain, func(r *svcRule) bool { return string(r.target) == nftMasqChain }, masqueraded},
		{nftMasqChain, nftMasqChain, func(r *svcRule) bool { return r.verdict == svcMasquerade }, masqueraded},
	} {
		does, err := x.some(link.chain, link.does)
		if err != nil {
			return err
		}
		if !does {
			x.breaks(link.why, link.needs)
		}
	}
	return nil
}
