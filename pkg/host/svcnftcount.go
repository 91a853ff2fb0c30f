package host

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/services"
)

// maxDrawn is how many maps from random numbers are read one by one. The kernel looks each up in the list of all, so that of ten thousand each costs more than
// all rules of its Service; of more than these, those that can be told without are.
const maxDrawn = 512

// svcUse is what the list of chains tells of one Service's port.
type svcUse struct {
	endpoints []string // the names of its endpoints' chains, as far as something refers to them or they have rules
	uses      []uint32 // of each: its rules and the references to it
	local     bool     // it also has a chain local-
}

// counted tells where a chain service- leads by the endpoints' chains that there are for it, and says whether that is certain enough: the map behind the
// random number has a place for each, nothing but one place of some map refers to each, and no other chain of the Service could. What this does not see are two
// Services that have exchanged as many endpoints for each other's, which takes new rules for both and which kube-proxy never writes: a reader that has read the
// table before reads the maps of new rules, see svcMaps.
func (x *svcNFTables) counted(p *svcPool, chain string, modulus uint32) (bool, error) {
	base, ok := strings.CutPrefix(chain, services.NFTPrefixCluster)
	use := x.uses[svcBase(base)]
	if !ok || use == nil || use.local || modulus == 0 || uint64(len(use.endpoints)) != uint64(modulus) {
		return false, nil
	}
	for _, name := range use.endpoints {
		x.choose([]byte(name), svcPick{share: 1 / float64(modulus)})
	}
	return x.referred(p, chain, &use.uses)
}

// svcBase is the part of a chain's name that tells the Service's port, behind the hash and in front of the endpoint.
func svcBase(name string) string {
	_, base, _ := strings.Cut(name, "-")
	base, _, _ = strings.Cut(base, "__")
	return base
}

// readUses reads the list of chains.
func (x *svcNFTables) readUses() error {
	x.uses = map[string]*svcUse{}
	body := appendName([]byte{x.proto, unix.NFNETLINK_V0, 0, 0}, unix.NFTA_CHAIN_TABLE, services.TableNFT)
	err := x.nf.dump(nftMsg(unix.NFT_MSG_GETCHAIN), body, func(m nlMsg) error {
		if m.Type != nftMsg(unix.NFT_MSG_NEWCHAIN) || len(m.Body) < nfgenmsgLen || m.Body[0] != x.proto {
			return nil
		}
		var a nftChainAttrs
		if err := nfAttrs(m.Body, a.take); err != nil || string(a.table) != services.TableNFT {
			return err
		}
		name := string(a.name)
		rest, endpoint := strings.CutPrefix(name, services.NFTPrefixEndpoint)
		local := false
		if !endpoint {
			rest, local = strings.CutPrefix(name, services.NFTPrefixLocal)
		}
		if !endpoint && !local || endpoint && a.use == 0 {
			return nil
		}
		base := svcBase(rest)
		u := x.uses[base]
		if u == nil {
			u = &svcUse{}
			x.uses[base] = u
		}
		u.local = u.local || local
		if endpoint {
			u.endpoints, u.uses = append(u.endpoints, name), append(u.uses, a.use)
		}
		return nil
	})
	return noEntry(err)
}
