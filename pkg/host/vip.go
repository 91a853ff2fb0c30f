package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// ServiceVIPs looks up what carries each Service in the given mode of kube-proxy. It must be called inside Do. In iptables and nftables mode a Service
// whose address is not known is looked up by its name; in IPVS mode, which knows no names, it is left out. Left out is also a Service that is
// only presumed and not found: a cluster may call its DNS otherwise, and give it another address. None left is ErrAbsent.
func (n *NS) ServiceVIPs(mode string, services []facts.ServiceIntent) ([]facts.ServiceVIP, error) {
	v := vipReader{ns: n}
	defer v.close()
	var all []facts.ServiceVIP
	for _, s := range services {
		if mode == facts.ModeIPVS && !s.VIP.IsValid() {
			continue
		}
		found, err := v.look(mode, s)
		if err != nil {
			return nil, fmt.Errorf("look up service %s: %w", s.Name, err)
		}
		found.ServiceIntent, found.Mode = s, mode
		if !found.Found && s.Name != kubernetesService && (s.Source == SourceDefault || s.Source == SourceManifest) {
			continue
		}
		all = append(all, found)
	}
	if len(all) == 0 && len(services) > 0 {
		return nil, fmt.Errorf("look up services: %w: no virtual IP is known", ErrAbsent)
	}
	return all, nil
}

// vipReader looks Services up in one namespace. What several look-ups need is read once.
type vipReader struct {
	ns     *NS
	brief  bool // no list may be walked that grows with the number of Services
	nf     *nlConn
	noNFT  bool
	legacy map[string]*legacyTable // by family and table; nil values for tables that do not exist
	vs     *ipvsReader
	vsConn *nlConn
}

func (v *vipReader) close() {
	for _, c := range [...]*nlConn{v.nf, v.vsConn} {
		if c != nil {
			_ = c.close() // nothing was written to it
		}
	}
}

// servers is for questions about virtual servers; nil where the kernel has no IPVS.
func (v *vipReader) servers() (*ipvsReader, error) {
	if v.vs != nil {
		return v.vs, nil
	}
	if err := v.ns.hasIPVS(); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	c, err := v.ns.netlink(unix.NETLINK_GENERIC)
	if err != nil {
		return nil, err
	}
	v.vsConn = c
	v.vs, err = newIPVSReader(c, c)
	return v.vs, err
}

func (v *vipReader) look(mode string, s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	switch mode {
	case facts.ModeNFTables:
		return v.lookNFTables(s)
	case facts.ModeIPTables:
		return v.lookIPTables(s)
	case facts.ModeIPVS:
		return v.lookIPVS(s)
	}
	found.Detail = "nothing of kube-proxy was found"
	return found, nil
}

// families are those in which a Service can be: that of its address, or both where it is not known.
func families(s facts.ServiceIntent) []string {
	switch {
	case s.VIP.Unmap().Is4():
		return []string{"ip"}
	case s.VIP.Is6():
		return []string{"ip6"}
	}
	return []string{"ip", "ip6"}
}

// presumed says whether the Service's address was derived and not told, so that its name counts as well.
func presumed(s facts.ServiceIntent) bool {
	return s.Source == SourceDefault || s.Source == SourceManifest || s.Source == SourceKubelet
}

func (v *vipReader) lookIPVS(s facts.ServiceIntent) (found facts.ServiceVIP, err error) {
	front := svcFront{s.VIP.Unmap(), s.Port, protoNumber(s.Protocol)}
	local, err := v.ns.localRoute(front.addr)
	if err != nil {
		return found, err
	}
	if !local {
		found.Detail = fmt.Sprintf("%s is not an address of the node", front.addr)
		return found, nil
	}
	vs, err := v.servers()
	if err != nil {
		return found, err
	}
	var server *virtualServer
	if vs != nil {
		if server, err = vs.find(front); err != nil {
			return found, err
		}
	}
	if server == nil {
		found.Detail = "no virtual server " + front.String()
		return found, nil
	}
	found.Found, found.Detail = true, "virtual server "+front.String()
	found.NoEndpoints = !slices.ContainsFunc(server.backends, func(b facts.ServiceBackend) bool { return b.Weight > 0 })
	return found, nil
}

// localRoute says whether the kernel would deliver a packet for the address itself, as it must for the packet to meet IPVS at the input hook.
func (n *NS) localRoute(a netip.Addr) (local bool, err error) {
	l, err := n.route()
	if err != nil {
		return false, err
	}
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1] = unix.AF_INET, uint8(a.BitLen())
	if a.Is6() {
		head[0] = unix.AF_INET6
	}
	err = l.request(unix.RTM_GETROUTE, 0, appendAttr(head, unix.RTA_DST, a.AsSlice()), func(m nlMsg) error {
		local = len(m.Body) >= unix.SizeofRtMsg && m.Body[7] == unix.RTN_LOCAL
		return nil
	})
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		return false, nil
	}
	return local, err
}
