package host

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/netmend/netmend/pkg/facts"
)

// maxIPVS bounds the virtual servers and their destinations that are kept.
const maxIPVS = 1 << 18

// IPVS reads the virtual servers of the calling thread's namespace. It must be called inside Do, and takes CAP_NET_ADMIN. A kernel without IPVS, or without its
// module loaded, has none. Servers that are found by a firewall mark have no address and are left out.
func (n *NS) IPVS() (*facts.IPVS, error) {
	v, err := whole(n.readIPVS)
	if errors.Is(err, fs.ErrNotExist) {
		return &facts.IPVS{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read IPVS: %w", err)
	}
	return v, nil
}

func (n *NS) readIPVS() (*facts.IPVS, error) {
	if err := n.hasIPVS(); err != nil {
		return nil, err
	}
	c, r, err := openServers(largestBrief)
	if err != nil {
		return nil, err
	}
	v := &facts.IPVS{Present: true}
	err = r.each(func(s *virtualServer) error {
		server := facts.IPVSServer{VIP: s.front.addr, Port: s.front.port, Protocol: svcProto(s.front.proto)}
		if len(s.backends) > 0 {
			server.Dests = make([]facts.IPVSDest, len(s.backends))
		}
		for i, b := range s.backends {
			server.Dests[i] = facts.IPVSDest{Addr: b.Addr, Weight: int(b.Weight)}
		}
		v.Servers = append(v.Servers, server)
		return nil
	})
	sortIPVS(v)
	return v, errors.Join(err, c.close())
}

// hasIPVS is fs.ErrNotExist where the kernel has no IPVS or has its module not loaded. It comes before every question to IPVS's netlink family: asking for a
// family that does not exist loads its module (genetlink's ctrl_getfamily). The file itself is not read: from its second page on, the kernel leaves virtual
// servers out where other network namespaces have some too (ip_vs_info_seq_next counts those of all, ip_vs_info_array this one's alone; seen on Linux 6.1),
// and it counts its way from the first server anew for every page.
func (n *NS) hasIPVS() error {
	_, err := os.Stat(n.procNet("ip_vs"))
	return err
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
