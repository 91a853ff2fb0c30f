package host

import (
	"errors"
	"fmt"
	"hash/maphash"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// ErrTwoBackends says that both backends of iptables hold Services, so that it is not known which of them packets meet.
var ErrTwoBackends = errors.New("both backends of iptables hold rules of Services")

// ServiceOptions says what to read of Services. Trace asks for the links of each path, which cost memory.
type ServiceOptions struct {
	Mode  string // of kube-proxy: one of the modes of package facts
	Trace bool
}

// ServiceRules reads what the calling thread's namespace holds for all Services. It must be called inside Do. What is read belongs to one generation of the
// kernel's tables; tables that never stand still give ErrInterrupted. Reading makes no table and loads no module. It needs CAP_NET_ADMIN. The namespace keeps
// what it gave until it is asked with other options or closed: where nothing has changed, the same facts are given again, and they must not be changed. For the
// cluster see [ServiceReader.Read].
func (n *NS) ServiceRules(o ServiceOptions, c *facts.Cluster) (*facts.ServiceRules, error) {
	n.servicesMu.Lock()
	defer n.servicesMu.Unlock()
	if n.services != nil && n.services.options != o {
		if err := n.closeServices(); err != nil {
			return nil, err
		}
	}
	if n.services == nil {
		n.services = n.ServiceReader(o)
	}
	rules, _, err := n.services.Read(c)
	return rules, err
}

// closeServices releases the reader of Services. The caller holds its lock.
func (n *NS) closeServices() error {
	if n.services == nil {
		return nil
	}
	err := n.services.Close()
	n.services = nil
	return err
}

// ServiceReader reads Services again and again, and nothing of what has not changed since. It belongs to one thread at a time.
type ServiceReader struct {
	ns      *NS
	options ServiceOptions
	conn    *svcConn
	brief   int                 // of the socket for short lists: how much it receives at once
	held    *facts.ServiceRules // of the last reading
	seen    svcSeen
	hash    maphash.Hash
	maps    [2]svcMaps     // of nftables mode, of IPv4 and IPv6
	cluster *facts.Cluster // while it reads
}

// svcSeen is what tells that nothing has changed.
type svcSeen struct {
	generation uint32 // of nf_tables
	other      uint64 // of what has no generation: a hash of the content
}

// ServiceReader makes a reader for the namespace. The caller closes it.
func (n *NS) ServiceReader(o ServiceOptions) *ServiceReader {
	return &ServiceReader{ns: n, options: o, brief: briefBuffer()}
}

// Close releases the reader's socket.
func (r *ServiceReader) Close() error {
	if r.conn == nil {
		return nil
	}
	err := r.conn.close()
	r.conn = nil
	return err
}

// Read gives what the namespace holds; it must be called inside Do. Where nothing has changed since the last call, it is what that gave, and changed is
// false. The facts are shared and must not be changed. What the cluster has, if it is known, makes reading very many Services quicker; what is read is the same.
func (r *ServiceReader) Read(c *facts.Cluster) (rules *facts.ServiceRules, changed bool, err error) {
	r.cluster = c
	defer func() { r.cluster = nil }()
	rules, changed, err = r.read()
	if errors.Is(err, errTruncated) && r.brief < largestBrief {
		r.brief = largestBrief
		if err = r.Close(); err == nil {
			rules, changed, err = r.read()
		}
	}
	if err != nil {
		r.held = nil
		return nil, false, errors.Join(fmt.Errorf("read Services: %w", err), r.Close()) // a list may not have been received to its end
	}
	r.held = rules
	return rules, changed, nil
}

func (r *ServiceReader) read() (rules *facts.ServiceRules, changed bool, err error) {
	switch r.options.Mode {
	case facts.ModeIPTables, facts.ModeNFTables:
		return r.tables()
	case facts.ModeIPVS:
		return r.virtualServers()
	}
	return nil, false, fmt.Errorf("%w: nothing of kube-proxy was found", ErrAbsent)
}

// netfilter opens the socket at first use; nil where the kernel has no nf_tables.
func (r *ServiceReader) netfilter() (*svcConn, error) {
	if r.conn != nil {
		return r.conn, nil
	}
	if r.ns.unloaded("netfilter/nf_tables") {
		return nil, nil
	}
	c, err := openSvcConn(unix.NETLINK_NETFILTER, r.brief)
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	r.conn = c
	return c, err
}

// generation is that of the kernel's rule set; not ok where there is no nf_tables.
func (r *ServiceReader) generation() (id uint32, ok bool, err error) {
	c, err := r.netfilter()
	if c == nil || err != nil {
		return 0, false, err
	}
	err = c.get(nftMsg(unix.NFT_MSG_GETGEN), nfgenmsg(unix.AF_UNSPEC), func(m nlMsg) error {
		if len(m.Body) >= nfgenmsgLen {
			id = attrBE32(attrOf(m.Body[nfgenmsgLen:], unix.NFTA_GEN_ID))
		}
		return nil
	})
	if errors.Is(err, unix.EINVAL) { // nfnetlink's answer for a subsystem that the kernel does not have
		return 0, false, nil
	}
	return id, err == nil, err
}
