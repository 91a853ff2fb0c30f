package host

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// kubeServices is the chain in which kube-proxy's iptables mode looks for Services: in table nat those with endpoints, in filter the others.
const kubeServices = "KUBE-SERVICES"

// errFound ends a walk.
var errFound = errors.New("found")

// iptablesTraces says where kube-proxy's iptables mode has left its chains; empty for nowhere. IPVS mode has KUBE-SERVICES too, but no KUBE-SVC- chains.
func (v *vipReader) iptablesTraces(family string) (string, error) {
	has, err := v.nftChain(family, "nat", kubeServices)
	if err != nil {
		return "", err
	}
	if has {
		some, err := v.nftSomeService(family)
		if err != nil || some {
			return "nft chains " + family + " nat KUBE-SVC-*", err
		}
	}
	t, err := v.legacyTable(family, "nat")
	if err != nil || t == nil {
		return "", err
	}
	if slices.ContainsFunc(t.chains, func(c legacyChain) bool { return strings.HasPrefix(string(c.name), services.PrefixCluster) }) {
		return "legacy chains " + family + " nat KUBE-SVC-*", nil
	}
	return "", nil
}

// nftSomeService says whether there is a chain of any Service: first that of the one Service that every cluster has.
func (v *vipReader) nftSomeService(family string) (bool, error) {
	has, err := v.nftChain(family, "nat", services.PrefixCluster+services.PortHash(kubernetesService, "tcp"))
	if err != nil || has {
		return has, err
	}
	c, err := v.netfilter()
	if err != nil || c == nil {
		return false, err
	}
	err = c.dump(nftMsg(unix.NFT_MSG_GETCHAIN), nfgenmsg(nftProto(family)), func(m nlMsg) error {
		var a nftChainAttrs
		if err := nfAttrs(m.Body, a.take); err != nil {
			return err
		}
		has = has || string(a.table) == "nat" && bulkPrefix(a.name) == services.PrefixCluster
		return nil
	})
	if errors.Is(err, ErrInterrupted) && has {
		err = nil // one is enough
	}
	return has, err
}

func (v *vipReader) legacyTable(family, name string) (*legacyTable, error) {
	key := family + " " + name
	if t, ok := v.legacy[key]; ok {
		return t, nil
	}
	if v.legacy == nil {
		v.legacy = map[string]*legacyTable{}
	}
	f := legacyFamilies()[0]
	if family == "ip6" {
		f = legacyFamilies()[1]
	}
	names, err := v.ns.legacyNames(f)
	if err != nil {
		return nil, err
	}
	v.legacy[key] = nil
	if !slices.Contains(names, name) {
		return nil, nil
	}
	t, err := f.read(name)
	v.legacy[key] = t
	return t, err
}

// lookIPTables looks for the chain of a Service's name, of either backend, then for its address in KUBE-SERVICES, and then for the rule that rejects it
// for want of endpoints.
func (v *vipReader) lookIPTables(s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	for _, family := range families(s) {
		for _, look := range []func(string, facts.ServiceIntent) (facts.ServiceVIP, error){v.iptablesByName, v.iptablesByAddress, v.iptablesRejected} {
			if found, err = look(family, s); err != nil || found.Found {
				return found, err
			}
		}
	}
	found.Detail = "no chain KUBE-SVC-" + services.PortHash(s.Name, s.Protocol) + " and no rule with its address"
	return found, nil
}

// iptablesByName counts a chain only where something leads to it: a flush of KUBE-SERVICES leaves the others.
func (v *vipReader) iptablesByName(family string, s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	for _, prefix := range [...]string{services.PrefixCluster, services.PrefixLocal} {
		chain := prefix + services.PortHash(s.Name, s.Protocol)
		if found.Found, err = v.nftReferenced(family, "nat", chain); err != nil || found.Found {
			found.Detail = "nft chain " + family + " nat " + chain
			return found, err
		}
		t, err := v.legacyTable(family, "nat")
		if err != nil {
			return found, err
		}
		if t != nil && t.leadsTo(kubeServices, chain) {
			return facts.ServiceVIP{Found: true, Detail: "legacy chain " + family + " nat " + chain}, nil
		}
	}
	return found, nil
}

// nftReferenced says whether a chain exists and something jumps to it.
func (v *vipReader) nftReferenced(family, table, chain string) (bool, error) {
	c, err := v.netfilter()
	if err != nil || c == nil {
		return false, err
	}
	return c.inGeneration(func() (bool, error) {
		n, err := c.references(family, table, chain)
		return n > 0, err
	})
}

// nftUse asks for a chain's number of rules and references; 0 where there is no such chain.
func (c *nlConn) nftUse(family uint8, table, chain string) (use uint32, err error) {
	body := appendAttr(nfgenmsg(family), unix.NFTA_CHAIN_TABLE, nulString(table))
	body = appendAttr(body, unix.NFTA_CHAIN_NAME, nulString(chain))
	err = c.request(nftMsg(unix.NFT_MSG_GETCHAIN), 0, body, func(m nlMsg) error {
		var a nftChainAttrs
		err := nfAttrs(m.Body, a.take)
		use = a.use
		return err
	})
	if errors.Is(err, unix.ENOENT) {
		return 0, nil
	}
	return use, err
}

// iptablesByAddress finds a Service that has another name than was presumed.
func (v *vipReader) iptablesByAddress(family string, s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	if !s.VIP.IsValid() {
		return found, nil
	}
	r, backend, err := v.serviceRule(family, "nat", func(r *facts.FilterRule) bool {
		return (r.Verdict == verdictJump || r.Verdict == verdictGoto) && strings.HasPrefix(r.Target, "KUBE-") && aimsAt(r, s)
	})
	if err != nil || r == nil {
		return found, err
	}
	return facts.ServiceVIP{Found: true, Detail: fmt.Sprintf("%s rule of %s nat %s to %s", backend, family, kubeServices, r.Target)}, nil
}

// iptablesRejected finds a Service without endpoints: kube-proxy writes "namespace/name:port has no endpoints" as the rule's comment.
func (v *vipReader) iptablesRejected(family string, s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	r, backend, err := v.serviceRule(family, "filter", func(r *facts.FilterRule) bool {
		if r.Verdict != verdictReject && r.Verdict != verdictDrop {
			return false
		}
		return strings.HasPrefix(r.Comment, s.Name+" has no ") || s.VIP.IsValid() && aimsAt(r, s)
	})
	if err != nil || r == nil {
		return found, err
	}
	return facts.ServiceVIP{
		Found: true, NoEndpoints: true, Detail: fmt.Sprintf("%s rule of %s filter %s: %s", backend, family, kubeServices, r.Comment),
	}, nil
}

func aimsAt(r *facts.FilterRule, s facts.ServiceIntent) bool {
	vip := s.VIP.Unmap()
	return r.Dst == netip.PrefixFrom(vip, vip.BitLen()).String() && r.DPort == strconv.Itoa(int(s.Port)) && r.Proto == s.Protocol
}

// serviceRule finds the first rule of KUBE-SERVICES in a table that is wanted, of either backend; nil where there is none.
func (v *vipReader) serviceRule(family, table string, want func(*facts.FilterRule) bool) (rule *facts.FilterRule, backend string, err error) {
	c, err := v.netfilter()
	if err != nil {
		return nil, "", err
	}
	if c != nil {
		rule, err = whole(func() (found *facts.FilterRule, err error) {
			err = c.eachNFTRule(nftProto(family), table, kubeServices, interfaceName, func(r nftRule) error {
				if want(&r.FilterRule) {
					found = &r.FilterRule
					return errFound
				}
				return nil
			})
			if errors.Is(err, errFound) || errors.Is(err, unix.ENOENT) {
				err = nil
			}
			return found, err
		})
		if err != nil || rule != nil {
			return rule, facts.BackendNFT, err
		}
	}
	t, err := v.legacyTable(family, table)
	if err != nil || t == nil {
		return nil, "", err
	}
	chain := t.find(kubeServices)
	if chain == nil {
		return nil, "", nil
	}
	for _, at := range t.entries[chain.first:chain.last] {
		if r := t.rule(at); want(&r) {
			return &r, facts.BackendLegacy, nil
		}
	}
	return nil, "", nil
}

// leadsTo says whether a rule of one chain jumps to another.
func (t *legacyTable) leadsTo(from, to string) bool {
	chain := t.find(from)
	if chain == nil || t.find(to) == nil {
		return false
	}
	return slices.ContainsFunc(t.entries[chain.first:chain.last], func(at int) bool {
		r := t.rule(at)
		return (r.Verdict == verdictJump || r.Verdict == verdictGoto) && r.Target == to
	})
}

// find gives the chain with a name; nil where there is none.
func (t *legacyTable) find(name string) *legacyChain {
	i := slices.IndexFunc(t.chains, func(c legacyChain) bool { return string(c.name) == name })
	if i < 0 {
		return nil
	}
	return &t.chains[i]
}
