package host

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// maxSocketFile bounds /proc/net/udp: 128 bytes a line, some 500,000 sockets.
const maxSocketFile = 64 << 20

// UDPSockets lists the namespace's bound UDP sockets, the kernel's own among them, with their drops. Sockets that share an address (SO_REUSEPORT) are
// one entry with the sum. It must be called inside Do.
func (n *NS) UDPSockets() ([]facts.UDPSocket, error) {
	drops := map[netip.AddrPort]uint64{}
	for _, name := range []string{"udp", "udp6"} {
		data, err := readFile(n.procNet(name), maxSocketFile)
		if name == "udp6" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read UDP sockets: %w", err)
		}
		parseUDP(string(data), drops)
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
func parseUDP(s string, into map[netip.AddrPort]uint64) {
	for line := range strings.Lines(s) {
		fields := strings.Fields(line)
		if len(fields) < 13 {
			continue
		}
		local, ok := parseSocketAddr(fields[1])
		drops, err := strconv.ParseUint(fields[len(fields)-1], 10, 64)
		if ok && err == nil {
			into[local] += drops
		}
	}
}

// parseSocketAddr reads "0100007F:0035": the address as 32-bit words in the processor's byte order, and the port.
func parseSocketAddr(s string) (netip.AddrPort, bool) {
	a, p, ok := strings.Cut(s, ":")
	port, err := strconv.ParseUint(p, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(a)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}
