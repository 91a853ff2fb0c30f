package host

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// svcSource gives the rules of iptables, of one family and one backend.
type svcSource interface {
	// rules gives each rule of a chain to fn; a chain that does not exist has none.
	rules(table, chain string, fn func(*svcRule) error) error
	// named is rules for one of very many chains, whose name lies in a buffer.
	named(table string, chain []byte, fn func(*svcRule) error) error
	backend() string
}

// nftSource reads the rules of iptables-nft, or of one's own table, by netlink. It makes no garbage for a chain: there are tens of thousands.
type nftSource struct {
	nf      nfDumper
	decoder svcDecoder
	body    []byte

	ask     []byte // the request for a chain itself
	written []byte // the name of a chain that was given as a string

	table string // that is read
	chain []byte // that is read
	other []byte // the chain that is asked for along with it
	use   uint32 // of that one
	fn    func(*svcRule) error
	take  func(nlMsg) error // message
}

func newNFTSource(nf nfDumper, family uint8) *nftSource {
	s := &nftSource{nf: nf, decoder: svcDecoder{family: family}}
	s.take = s.message
	return s
}

func (s *nftSource) backend() string { return facts.BackendNFT }

// rules asks for one chain: the kernel finds it by its hash, whereas the list of a whole table is walked anew from its start for every 32 KiB of it.
func (s *nftSource) rules(table, chain string, fn func(*svcRule) error) error {
	s.written = append(s.written[:0], chain...)
	return s.named(table, s.written, fn)
}

func (s *nftSource) named(table string, chain []byte, fn func(*svcRule) error) error {
	list := s.nf.dump
	if shortChain(chain) {
		list = s.nf.short
	}
	return noEntry(list(nftMsg(unix.NFT_MSG_GETRULE), s.request(table, chain, fn), s.take)) // ENOENT: no such table
}

// rulesAnd gives the rules of a chain, of which there are few, and says of another one, which may be the same, how many rules it has and how many things refer to it,
// together; 0 where it does not exist.
func (s *nftSource) rulesAnd(table string, chain, other []byte, fn func(*svcRule) error) (use uint32, err error) {
	s.other, s.use = other, 0
	s.ask = append(s.ask[:0], s.decoder.family, unix.NFNETLINK_V0, 0, 0)
	s.ask = appendName(s.ask, unix.NFTA_CHAIN_TABLE, table)
	s.ask = appendName(s.ask, unix.NFTA_CHAIN_NAME, other)
	err = s.nf.both(nftMsg(unix.NFT_MSG_GETCHAIN), s.ask, nftMsg(unix.NFT_MSG_GETRULE), s.request(table, chain, fn), s.take)
	s.other = nil
	return s.use, noEntry(err)
}

// request is that for the rules of a chain, valid until the next.
func (s *nftSource) request(table string, chain []byte, fn func(*svcRule) error) []byte {
	s.body = append(s.body[:0], s.decoder.family, unix.NFNETLINK_V0, 0, 0)
	s.body = appendName(s.body, unix.NFTA_RULE_TABLE, table)
	s.body = appendName(s.body, unix.NFTA_RULE_CHAIN, chain)
	s.table, s.chain, s.fn = table, chain, fn
	return s.body
}

// countingSource keeps how many rules each chain that is read has, and how many things refer to it.
type countingSource struct {
	*nftSource
	uses []uint32
}

func (s *countingSource) named(table string, chain []byte, fn func(*svcRule) error) error {
	use, err := s.rulesAnd(table, chain, chain, fn)
	s.uses = append(s.uses, use)
	return err
}

// shortChain says whether a chain is one of those of which each Service or endpoint has its own.
func shortChain(name []byte) bool {
	for _, prefix := range [...]string{services.PrefixEndpoint, services.PrefixCluster, services.NFTPrefixEndpoint, services.NFTPrefixCluster} {
		if len(name) >= len(prefix) && string(name[:len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

func (s *nftSource) message(m nlMsg) error {
	if len(m.Body) < nfgenmsgLen || m.Body[0] != s.decoder.family {
		return nil
	}
	switch m.Type {
	case nftMsg(unix.NFT_MSG_NEWCHAIN):
		return s.chainMessage(m.Body)
	case nftMsg(unix.NFT_MSG_NEWRULE):
		return s.ruleMessage(m.Body)
	}
	return nil
}

// chainMessage takes the chain that is asked for along with rules.
func (s *nftSource) chainMessage(body []byte) error {
	var a nftChainAttrs
	if err := nfAttrs(body, a.take); err != nil {
		return err
	}
	if string(a.table) == s.table && s.other != nil && bytes.Equal(a.name, s.other) {
		s.use = a.use
	}
	return nil
}

func (s *nftSource) ruleMessage(body []byte) error {
	a := nlAttrs{rest: body[nfgenmsgLen:]}
	var expressions, userdata []byte
	handle := uint64(0)
	mine := true // a kernel that does not know the filter lists every rule
	for a.next() {
		switch a.typ {
		case unix.NFTA_RULE_TABLE:
			mine = mine && string(trimNul(a.v)) == s.table
		case unix.NFTA_RULE_CHAIN:
			mine = mine && bytes.Equal(trimNul(a.v), s.chain)
		case unix.NFTA_RULE_HANDLE:
			handle = attrBE64(a.v)
		case unix.NFTA_RULE_EXPRESSIONS:
			expressions = a.v
		case unix.NFTA_RULE_USERDATA:
			userdata = a.v
		}
	}
	if a.cut {
		return errCut
	}
	if !mine {
		return nil
	}
	r := s.decoder.decode(expressions, userdata)
	r.handle = handle
	return s.fn(r)
}

var errCut = errors.New("netlink attributes that do not fit")

// appendName appends an attribute with a string and its closing zero byte.
func appendName[name ~string | ~[]byte](b []byte, typ uint16, n name) []byte {
	size := unix.SizeofNlAttr + len(n) + 1
	b = binary.NativeEndian.AppendUint16(b, uint16(size))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(append(b, n...), 0)
	for range align4(size) - size {
		b = append(b, 0)
	}
	return b
}

// legacySource reads the rules of iptables-legacy from tables that were copied as a whole.
type legacySource struct {
	family legacyFamily
	tables map[string]*legacySvcTable
}

// legacySvcTable is a table whose chains are found by their names.
type legacySvcTable struct {
	*legacyTable
	index map[string]int // of chains
}

func newLegacySource(f legacyFamily) *legacySource {
	return &legacySource{family: f, tables: map[string]*legacySvcTable{}}
}

func (s *legacySource) add(t *legacyTable) {
	index := make(map[string]int, len(t.chains))
	for i := range t.chains {
		index[string(t.chains[i].name)] = i
	}
	s.tables[t.name] = &legacySvcTable{t, index}
}

func (s *legacySource) backend() string { return facts.BackendLegacy }

func (s *legacySource) rules(table, chain string, fn func(*svcRule) error) error {
	return s.named(table, []byte(chain), fn)
}

func (s *legacySource) named(table string, chain []byte, fn func(*svcRule) error) error {
	t := s.tables[table]
	if t == nil {
		return nil
	}
	i, ok := t.index[string(chain)]
	if !ok {
		return nil
	}
	for _, at := range t.entries[t.chains[i].first:t.chains[i].last] {
		var r svcRule
		t.service(at, &r)
		if err := fn(&r); err != nil {
			return err
		}
	}
	return nil
}
