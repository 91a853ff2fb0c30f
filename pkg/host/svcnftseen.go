package host

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/services"
)

// nftaTableHandle is NFTA_TABLE_HANDLE of linux/netfilter/nf_tables.h, which x/sys does not name.
const nftaTableHandle = 4

// How many maps a reading reads whole though they could be counted: those of rules that are new since the last reading, and of the others some each time.
const (
	maxDrawnNew  = 512
	maxDrawnRest = 64
)

// svcMaps is what readings of kube-proxy's table remember of its maps from random numbers. A map without a name cannot be changed as long as its rule is there
// (NFT_SET_CONSTANT), and a table gives the number of a rule once (nf_tables_alloc_handle): what was read of a map holds as long as there is the rule.
type svcMaps struct {
	table uint64          // the number of the table, which the kernel gives once too; 0: nothing was read
	whole map[uint64]bool // by the number of the rule: true where the map was read and leads to its own Service's endpoints alone, false where it was counted
}

// svcMapsReading is one reading of them.
type svcMapsReading struct {
	old       *svcMaps // of the last reading
	now       svcMaps
	new, rest int // how many may still be read whole
}

// remember begins a reading that goes on where the last one of the table stopped.
func (x *svcNFTables) remember(old *svcMaps) error {
	handle := uint64(0)
	err := x.nf.dump(nftMsg(unix.NFT_MSG_GETTABLE), nfgenmsg(x.proto), func(m nlMsg) error {
		if m.Type != nftMsg(unix.NFT_MSG_NEWTABLE) || len(m.Body) < nfgenmsgLen || m.Body[0] != x.proto {
			return nil
		}
		if attrs := m.Body[nfgenmsgLen:]; string(trimNul(attrOf(attrs, unix.NFTA_TABLE_NAME))) == services.TableNFT {
			handle = attrBE64(attrOf(attrs, nftaTableHandle))
		}
		return nil
	})
	if err != nil || handle == 0 { // kernels before 4.16 number no tables
		return err
	}
	x.maps = &svcMapsReading{old: old, now: svcMaps{table: handle, whole: map[uint64]bool{}}, new: maxDrawnNew, rest: maxDrawnRest}
	return nil
}

// count says whether a rule's map may be counted and need not be read.
func (r *svcMapsReading) count(rule uint64) bool {
	if r == nil || rule == 0 {
		return true
	}
	if r.old.table != r.now.table { // the first reading: there are too many
		r.now.whole[rule] = false
		return true
	}
	whole, known := r.old.whole[rule]
	budget := &r.rest
	if !known {
		budget = &r.new
	}
	if !whole && *budget > 0 {
		*budget--
		return false
	}
	r.now.whole[rule] = whole
	return true
}

// drew records that a map was read. One that leads to other Services' endpoints is read again each time: it cannot be counted.
func (x *svcNFTables) drew(rule uint64, chain string) {
	if x.maps == nil || rule == 0 {
		return
	}
	base := svcBase(strings.TrimPrefix(chain, services.NFTPrefixCluster))
	for _, pick := range x.picks {
		name, ok := strings.CutPrefix(string(x.names[pick.from:pick.to]), services.NFTPrefixEndpoint)
		if !ok || svcBase(name) != base {
			return
		}
	}
	x.maps.now.whole[rule] = true
}
