package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// maxChains bounds the chains of one namespace that are kept; those that are only counted do not count.
const maxChains = 16384

// NFTables reads the nftables tables of the calling thread's namespace, those of iptables-nft among them. It must be called inside Do. A kernel
// without nf_tables, or whose module is not loaded, has no tables. Reading makes no table and loads no module. Only tables of the families ip,
// ip6 and inet have their chains read. What is read belongs to one generation of the kernel's rule set (NFT_MSG_GETGEN before and after); a rule
// set that never stands still gives ErrInterrupted. It needs CAP_NET_ADMIN.
func (n *NS) NFTables() ([]facts.Table, error) {
	if n.unloaded("netfilter/nf_tables") {
		return nil, nil
	}
	c, err := n.netlink(unix.NETLINK_NETFILTER)
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	defer c.close()
	tables, err := whole(func() ([]facts.Table, error) { return readNFT(c) })
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	return tables, nil
}

// unloaded says whether a part of the kernel is a module that exists and is not loaded. A request to such a part would load it (nfnetlink's and
// genetlink's request_module), and reading must change nothing. The name is a path below kernel/net without suffix.
func (n *NS) unloaded(module string) bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	name := filepath.Base(module)
	if exists(filepath.Join(n.root, "sys/module", name)) {
		return false
	}
	modules := filepath.Join(n.root, "lib/modules", unix.ByteSliceToString(u.Release[:]))
	if !exists(modules) {
		return false
	}
	base := filepath.Join(modules, "kernel/net", module+".ko")
	return slices.ContainsFunc([]string{"", ".xz", ".zst", ".gz"}, func(suffix string) bool { return exists(base + suffix) })
}

// nftTable is a table while it is being read.
type nftTable struct {
	facts.Table
	family  uint8
	dormant bool           // NFT_TABLE_F_DORMANT: its chains are attached to no hook
	index   map[string]int // of Chains
	use     []uint32       // of each chain: its rules and the references to it
}

// nftReader reads one generation.
type nftReader struct {
	c      *nlConn
	tables []*nftTable
	chains int
	sets   map[nftSetName]*nftSet // that were asked for; nil: one that is not understood
	ifname func(index uint32) string
}

func readNFT(c *nlConn) ([]facts.Table, error) {
	before, err := nftGeneration(c)
	if err != nil {
		return nil, err
	}
	r := &nftReader{c: c, ifname: interfaceName}
	for _, read := range []func() error{r.readTables, r.readChains, r.readSets, r.readRules} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	after, err := nftGeneration(c)
	if err != nil {
		return nil, err
	}
	if before != after {
		return nil, ErrInterrupted
	}
	tables := make([]facts.Table, 0, len(r.tables))
	for _, t := range r.tables {
		tables = append(tables, t.Table)
	}
	return tables, nil
}

func nftGeneration(c *nlConn) (id uint32, err error) {
	err = c.request(nftMsg(unix.NFT_MSG_GETGEN), 0, nfgenmsg(unix.AF_UNSPEC), func(m nlMsg) error {
		return nfAttrs(m.Body, func(typ uint16, v []byte) {
			if typ == unix.NFTA_GEN_ID {
				id = attrBE32(v)
			}
		})
	})
	// nfnetlink answers EINVAL for a subsystem that the kernel does not have.
	if errors.Is(err, unix.EINVAL) {
		return 0, fmt.Errorf("nf_tables: %w", ErrAbsent)
	}
	return id, err
}

func (r *nftReader) readTables() error {
	return r.c.dump(nftMsg(unix.NFT_MSG_GETTABLE), nfgenmsg(unix.AF_UNSPEC), func(m nlMsg) error {
		t := &nftTable{index: map[string]int{}}
		err := nfAttrs(m.Body, func(typ uint16, v []byte) {
			switch typ {
			case unix.NFTA_TABLE_NAME:
				t.Name = attrString(v)
			case unix.NFTA_TABLE_FLAGS:
				t.dormant = attrBE32(v)&unix.NFT_TABLE_F_DORMANT != 0
			}
		})
		if err != nil {
			return err
		}
		t.family = m.Body[0]
		t.Backend, t.Family = facts.BackendNFT, nftFamily(t.family)
		r.tables = append(r.tables, t)
		return nil
	})
}

// table finds a table by the family and name in a message. Messages of one table come in a row, so the last one found is tried first.
func (r *nftReader) table(last *nftTable, family uint8, name []byte) *nftTable {
	if last != nil && last.family == family && last.Name == string(name) {
		return last
	}
	for _, t := range r.tables {
		if t.family == family && t.Name == string(name) {
			return t
		}
	}
	return nil
}

func (r *nftReader) readSets() error {
	var last *nftTable
	return r.c.dump(nftMsg(unix.NFT_MSG_GETSET), nfgenmsg(unix.AF_UNSPEC), func(m nlMsg) error {
		var table, name []byte
		var flags uint32
		err := nfAttrs(m.Body, func(typ uint16, v []byte) {
			switch typ {
			case unix.NFTA_SET_TABLE:
				table = trimNul(v)
			case unix.NFTA_SET_NAME:
				name = trimNul(v)
			case unix.NFTA_SET_FLAGS:
				flags = attrBE32(v)
			}
		})
		if err != nil {
			return err
		}
		last = r.table(last, m.Body[0], table)
		if last == nil || !nftRead(last.family) || flags&unix.NFT_SET_ANONYMOUS != 0 {
			return nil
		}
		if p := bulkPrefix(name); p != "" {
			last.count(p)
			return nil
		}
		if len(last.Maps) == maxChains {
			return fmt.Errorf("table %s has more than %d sets", last.Name, maxChains)
		}
		last.Maps = append(last.Maps, string(name))
		return nil
	})
}

func (t *nftTable) count(prefix string) {
	if t.Bulk == nil {
		t.Bulk = map[string]int{}
	}
	t.Bulk[prefix]++
}

// nftFamily names an NFPROTO number as nft does.
func nftFamily(f uint8) string {
	switch f {
	case unix.NFPROTO_INET:
		return "inet"
	case unix.NFPROTO_IPV4:
		return "ip"
	case unix.NFPROTO_IPV6:
		return "ip6"
	case unix.NFPROTO_ARP:
		return "arp"
	case unix.NFPROTO_NETDEV:
		return "netdev"
	case unix.NFPROTO_BRIDGE:
		return "bridge"
	}
	return fmt.Sprintf("family %d", f)
}

// nftRead says whether the chains of a family are read.
func nftRead(f uint8) bool {
	return f == unix.NFPROTO_IPV4 || f == unix.NFPROTO_IPV6 || f == unix.NFPROTO_INET
}

func nftMsg(m uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | m }

// nfgenmsgLen is the size of struct nfgenmsg.
const nfgenmsgLen = 4

// nfgenmsg is the head of every nfnetlink message (struct nfgenmsg).
func nfgenmsg(family uint8) []byte { return []byte{family, unix.NFNETLINK_V0, 0, 0} }

// nfAttrs walks the attributes behind a struct nfgenmsg. When it returns nil, the body holds at least that struct.
func nfAttrs(body []byte, fn func(typ uint16, v []byte)) error {
	if len(body) < nfgenmsgLen {
		return fmt.Errorf("nfnetlink message of %d bytes", len(body))
	}
	return eachAttr(body[nfgenmsgLen:], fn)
}

func trimNul(v []byte) []byte {
	if i := slices.Index(v, 0); i >= 0 {
		return v[:i]
	}
	return v
}

func attrBE64(v []byte) uint64 {
	if len(v) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

// interfaceName finds the name of a link; empty where there is none.
func interfaceName(index uint32) string {
	i, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return ""
	}
	return i.Name
}
