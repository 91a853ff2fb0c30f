package host

import (
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// svcVerdict is what a rule does with the packets that it matches.
type svcVerdict uint8

const (
	svcNone svcVerdict = iota // nothing: a comment, a counter, an entry in a list of clients
	svcJump
	svcGoto
	svcReturn
	svcAccept
	svcDrop
	svcReject
	svcDNAT
	svcMasquerade
	svcMark // sets bits of the mark
	svcLookup
)

// final says whether no rule behind this one sees the packet.
func (v svcVerdict) final() bool {
	return v != svcNone && v != svcJump && v != svcMark && v != svcLookup
}

// svcAddress is a match of an address; the zero value matches every packet.
type svcAddress struct {
	prefix  netip.Prefix
	negated bool
}

func (a svcAddress) set() bool { return a.prefix.IsValid() }

// host gives the one address that is matched.
func (a svcAddress) host() (netip.Addr, bool) {
	return a.prefix.Addr(), a.set() && !a.negated && a.prefix.IsSingleIP()
}

// svcRecent is a match of the module recent: xt_recent's bits.
type svcRecent uint8

const (
	recentCheck svcRecent = 1 << iota
	recentSet
)

// svcRule is one rule, of iptables in either backend or of nftables, as far as kube-proxy writes rules. What it is beyond that is in unknown: such a rule
// matches less than the other fields say, or does something else. Slices are valid until the function that got the rule returns.
type svcRule struct {
	verdict svcVerdict
	handle  uint64 // the rule's number in its table of nf_tables; 0 where there is none
	target  []byte // the chain of a jump
	comment []byte
	unknown string // why the rule is not understood

	src, dst    svcAddress
	proto       uint8
	port        uint16 // destination port
	hasPort     bool
	has         svcMatch // what else is matched
	linkNot     bool     // matchLink: the rule is for packets that do not come from a pod's link
	probability uint32   // of 1<<31, of matchRandom
	recent      svcRecent
	recentName  []byte         // the list of clients; in nftables mode the set
	seconds     uint32         // of recent
	dnat        netip.AddrPort // of svcDNAT
	set         []byte         // the set or map that is looked up
	setKey      svcKey
	setNegated  bool
	setVerdict  bool   // it is a map to verdicts
	modulus     uint32 // of the random number that is looked up
	member      uint16 // the ipset of matchMember
	memberDirs  uint8  // which of its parts are the source: the second bit is for the first part
	ports       []byte // a map of node ports that is looked up behind a set
}

// svcKey is what is looked up in a set.
type svcKey uint8

const (
	svcKeyOther svcKey = iota
	svcKeySource
	svcKeyDest
	svcKeyFront    // destination . protocol . port
	svcKeyNodePort // protocol . port
	svcKeyRandom
)

// doubt records why a rule is not understood. The first reason stays.
func (r *svcRule) doubt(why ...string) {
	if r.unknown == "" {
		r.unknown = strings.Join(why, "")
	}
}

// address sets a match of an address.
func (r *svcRule) address(a *svcAddress, p netip.Prefix, negated bool) {
	if a.set() || !p.IsValid() {
		r.doubt("two matches of an address")
		return
	}
	a.prefix, a.negated = p, negated
}

// protocol sets a match of the protocol. Matching it twice is what iptables writes for "-p tcp -m tcp".
func (r *svcRule) protocol(p uint8, negated bool) {
	if negated || r.proto != 0 && r.proto != p {
		r.doubt("a match of the protocol")
		return
	}
	r.proto = p
}

func (r *svcRule) dport(first, last uint16, negated bool) {
	if negated || first != last || r.hasPort && r.port != first {
		r.doubt("a match of ports")
		return
	}
	r.port, r.hasPort = first, true
}

// act sets what the rule does. What stands behind a final verdict is never reached.
func (r *svcRule) act(v svcVerdict, target []byte) {
	if r.verdict.final() {
		return
	}
	r.verdict, r.target = v, target
}

// jumps says whether the rule leads to another chain.
func (r *svcRule) jumps() bool { return r.verdict == svcJump || r.verdict == svcGoto }

// only says whether, beside addresses, protocol and port, nothing but these is matched.
func (r *svcRule) only(these svcMatch) bool { return r.has&^these == 0 }

// bare says whether the rule matches every packet.
func (r *svcRule) bare() bool {
	return r.unknown == "" && !r.src.set() && !r.dst.set() && r.proto == 0 && !r.hasPort && r.only(0)
}

// front gives the frontend that the rule is about: a destination address, a protocol and a port, and nothing else.
func (r *svcRule) front() (svcFront, bool) {
	dst, ok := r.dst.host()
	return svcFront{dst, r.port, r.proto}, ok && r.proto != 0 && r.hasPort && !r.src.set() && r.only(0)
}

// nodePort gives the port that the rule is about, whatever the destination.
func (r *svcRule) nodePort() (svcFront, bool) {
	return svcFront{port: r.port, proto: r.proto}, !r.dst.set() && r.proto != 0 && r.hasPort && !r.src.set() && r.only(matchDstLocal)
}

// svcMatch is a set of matches.
type svcMatch uint16

const (
	matchSrcLocal svcMatch = 1 << iota // the source is an address of the node
	matchDstLocal                      // the destination is one
	matchLink                          // the incoming link decides whether the packet is a local pod's
	matchState                         // the connection's state
	matchMark
	matchRandom // one of 1<<31
	matchClient // the client is in a list of those that were here before
	matchSet    // a set of nftables
	matchMember // an ipset
)

// svcFront is a frontend; the address is the zero Addr for a port of the node.
type svcFront struct {
	addr  netip.Addr
	port  uint16
	proto uint8
}

func (f svcFront) String() string {
	return netip.AddrPortFrom(f.addr, f.port).String() + "/" + svcProto(f.proto)
}

// svcProto names the protocols that Services have; empty for others.
func svcProto(p uint8) string {
	switch p {
	case unix.IPPROTO_TCP:
		return "tcp"
	case unix.IPPROTO_UDP:
		return "udp"
	case unix.IPPROTO_SCTP:
		return "sctp"
	}
	return ""
}
