package host

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"

	"github.com/netmend/netmend/pkg/facts"
)

// maxSocketFile bounds /proc/net/udp: 128 bytes a line, some 500,000 sockets.
const maxSocketFile = 64 << 20

// Sockets lists the namespace's bound UDP sockets, the kernel's own among them, with their drops, and its listening TCP sockets of both families
// with the length and limit of their accept queues. UDP sockets that share an address (SO_REUSEPORT) are one entry with the sum. ErrAbsent where the
// kernel has no sock_diag for TCP. It must be called inside Do.
func (n *NS) Sockets() ([]facts.UDPSocket, []facts.Listener, error) {
	// The lists are made from tables of the whole machine, which the kernel walks from end to end. Most pods have no UDP socket and many no TCP
	// socket at all, which their own small counters tell.
	use, err := n.sockstat()
	if err != nil {
		return nil, nil, err
	}
	udp, err := n.udpSockets(use)
	if err != nil {
		return nil, nil, err
	}
	if use.none("TCP.inuse") && use.none("TCP6.inuse") {
		return udp, nil, nil
	}
	tcp, err := n.listeners()
	if err != nil {
		return nil, nil, err
	}
	return udp, tcp, nil
}

func (n *NS) udpSockets(use sockstat) ([]facts.UDPSocket, error) {
	drops := map[netip.AddrPort]uint64{}
	for _, f := range []struct{ file, count string }{{"udp", "UDP.inuse"}, {"udp6", "UDP6.inuse"}} {
		if use.none(f.count) {
			continue
		}
		err := n.withFile(n.procNet(f.file), maxSocketFile, func(b []byte) { parseUDP(b, drops) })
		if err != nil && (f.file == "udp" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("read UDP sockets: %w", err)
		}
	}
	all := make([]facts.UDPSocket, 0, len(drops))
	for local, d := range drops {
		all = append(all, facts.UDPSocket{Local: local, Drops: d})
	}
	slices.SortFunc(all, func(a, b facts.UDPSocket) int {
		return cmp.Or(a.Local.Addr().Compare(b.Local.Addr()), cmp.Compare(a.Local.Port(), b.Local.Port()))
	})
	return all, nil
}

// parseUDP reads the lines of /proc/net/udp or udp6: the local address is the second field, the drops are the last of thirteen.
func parseUDP(b []byte, into map[netip.AddrPort]uint64) {
	for line := range bytes.Lines(b) {
		var local, last []byte
		fields := 0
		for field, rest := nextField(line); len(field) > 0; field, rest = nextField(rest) {
			if fields++; fields == 2 {
				local = field
			}
			last = field
		}
		addr, ok := parseSocketAddr(local)
		drops, counted := parseCounter(last)
		if ok && counted && fields >= 13 {
			into[addr] += drops
		}
	}
}

// parseSocketAddr reads "0100007F:0035": the address as 32-bit words in the processor's byte order, and the port.
func parseSocketAddr(b []byte) (netip.AddrPort, bool) {
	a, p, ok := bytes.Cut(b, []byte(":"))
	port, err := strconv.ParseUint(string(p), 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	raw := make([]byte, hex.DecodedLen(len(a)))
	if _, err := hex.Decode(raw, a); err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}
