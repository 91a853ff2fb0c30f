package host

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// maxIPVS bounds the virtual servers and their destinations that are kept.
const maxIPVS = 1 << 18

// IPVS reads the virtual servers of the calling thread's namespace from /proc/net/ip_vs. It must be called inside Do. A kernel without the file has no
// IPVS, or has its module not loaded. The file is preferred to the netlink family of that name because asking for the family by its name
// loads the module (genetlink's ctrl_getfamily), because it holds servers and destinations in one go, and because a short one needs no privilege.
// Servers that are found by a firewall mark have no address and are left out.
func (n *NS) IPVS() (*facts.IPVS, error) {
	v, err := whole(n.readIPVS)
	if err != nil {
		return nil, fmt.Errorf("read IPVS: %w", err)
	}
	return v, nil
}

func (n *NS) readIPVS() (*facts.IPVS, error) {
	f, err := os.Open(n.procNet("ip_vs"))
	if errors.Is(err, fs.ErrNotExist) {
		return &facts.IPVS{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v, err := parseIPVS(f)
	if err != nil {
		return nil, err
	}
	read, err := f.Seek(0, io.SeekCurrent)
	if err != nil || !ipvsPages(int(read)) {
		return v, err
	}
	servers, err := ipvsTimeouts()
	if err == nil && len(servers) != len(v.Servers) {
		err = partIPVS(len(v.Servers), len(servers))
	}
	return v, err
}

// ipvsPages says whether a list of virtual servers of so many bytes may lack some: where it takes several pages, the kernel counts the servers of all network
// namespaces to know where to go on, and passes over some of this one's (ip_vs_info_seq_next; seen on Linux 6.1).
func ipvsPages(text int) bool { return text > os.Getpagesize()/2 }

func partIPVS(read, of int) error {
	return fmt.Errorf("/proc/net/ip_vs has %d of %d virtual servers, as it may where other network namespaces have some too: %w", read, of, ErrInterrupted)
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
