package host

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// maxIPVS bounds the virtual servers and their destinations that are kept.
const maxIPVS = 1 << 18

// ipvsRead is the room of a first read of /proc/net/ip_vs, in bytes: no less than any page.
const ipvsRead = 64 << 10

// IPVS reads the virtual servers of the calling thread's namespace from /proc/net/ip_vs. It must be called inside Do. A kernel without the file has no
// IPVS, or has its module not loaded. The file is preferred to the netlink family of that name because asking for the family by its name
// loads the module (genetlink's ctrl_getfamily), and because it holds servers and destinations in one go. That it is whole the family says, which
// takes CAP_NET_ADMIN. Servers that are found by a firewall mark have no address and are left out.
func (n *NS) IPVS() (*facts.IPVS, error) {
	v, err := whole(n.readIPVS)
	if err != nil {
		return nil, fmt.Errorf("read IPVS: %w", err)
	}
	return v, nil
}

func (n *NS) readIPVS() (*facts.IPVS, error) {
	text, kernels, err := n.ipvsText()
	if errors.Is(err, fs.ErrNotExist) {
		return &facts.IPVS{}, nil
	}
	if err != nil {
		return nil, err
	}
	v, err := parseIPVS(bytes.NewReader(text))
	if err != nil || !kernels {
		return v, err
	}
	_, err = ipvsTimeouts(len(v.Servers))
	return v, err
}

// ipvsText reads /proc/net/ip_vs, and says whether it is the kernel's own and not a plain file below Options.Root. The kernel's may lack servers: from the
// second read on, it starts at the number of those that it has passed, of all network namespaces, and counts only this one's up to there
// (ip_vs_info_seq_next, ip_vs_info_array; seen on Linux 6.1). One read brings a page at most, and less before a server with many destinations, so no text
// is too short to lack some.
func (n *NS) ipvsText() (text []byte, kernels bool, err error) {
	path := n.procNet("ip_vs")
	if text, err = readInto(path, make([]byte, 0, ipvsRead), maxIPVSText); err != nil {
		return nil, false, err
	}
	var mount unix.Statfs_t
	if _, err = retry(func() (int, error) { return 0, unix.Statfs(path, &mount) }); err != nil {
		return nil, false, err
	}
	return text, mount.Type == unix.PROC_SUPER_MAGIC, nil
}

// parseIPVS reads the text of /proc/net/ip_vs: three lines of head, then a line for each server and one that starts with "->" for each of its
// destinations. IPv4 addresses are eight hexadecimal digits, IPv6 ones stand in brackets, ports are hexadecimal (ip_vs_info_seq_show).
func parseIPVS(r io.Reader) (*facts.IPVS, error) {
	v := &facts.IPVS{Present: true}
	var server *facts.IPVSServer
	count := 0
	s := bufio.NewScanner(r)
	for s.Scan() {
		f := strings.Fields(s.Text())
		switch {
		case len(f) < 2 || f[1] == "RemoteAddress:Port":
			continue
		case f[0] == "->":
			if server == nil {
				continue // of a firewall mark
			}
			if len(f) < 4 {
				return nil, fmt.Errorf("destination %q", s.Text())
			}
			addr, err := ipvsAddr(f[1])
			if err != nil {
				return nil, err
			}
			weight, err := strconv.Atoi(f[3])
			if err != nil {
				return nil, fmt.Errorf("weight of %s: %w", f[1], err)
			}
			server.Dests = append(server.Dests, facts.IPVSDest{Addr: addr, Weight: weight})
		case f[0] == "TCP" || f[0] == "UDP" || f[0] == "SCTP":
			addr, err := ipvsAddr(f[1])
			if err != nil {
				return nil, err
			}
			v.Servers = append(v.Servers, facts.IPVSServer{VIP: addr.Addr(), Port: addr.Port(), Protocol: strings.ToLower(f[0])})
			server = &v.Servers[len(v.Servers)-1]
		default:
			server = nil
			continue
		}
		if count++; count > maxIPVS {
			return nil, fmt.Errorf("more than %d servers and destinations", maxIPVS)
		}
	}
	sortIPVS(v)
	return v, s.Err()
}

// sortIPVS puts servers and destinations in the order of their addresses: the kernel lists them as its hash table has them.
func sortIPVS(v *facts.IPVS) {
	slices.SortFunc(v.Servers, func(a, b facts.IPVSServer) int {
		return cmp.Or(a.VIP.Compare(b.VIP), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
	for i := range v.Servers {
		slices.SortFunc(v.Servers[i].Dests, func(a, b facts.IPVSDest) int { return a.Addr.Compare(b.Addr) })
	}
}

func ipvsAddr(s string) (netip.AddrPort, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.AddrPort{}, fmt.Errorf("address %q", s)
	}
	port, err := strconv.ParseUint(s[i+1:], 16, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port of %q: %w", s, err)
	}
	if inner, ok := strings.CutPrefix(s[:i], "["); ok {
		a, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		if err != nil || a.Zone() != "" {
			return netip.AddrPort{}, fmt.Errorf("address %q", s)
		}
		return netip.AddrPortFrom(a, uint16(port)), nil
	}
	n, err := strconv.ParseUint(s[:i], 16, 32)
	if err != nil || i != 8 {
		return netip.AddrPort{}, fmt.Errorf("address %q", s)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), uint16(port)), nil
}
