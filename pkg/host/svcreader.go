package host

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
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

// tables reads iptables or nftables mode.
func (r *ServiceReader) tables() (rules *facts.ServiceRules, changed bool, err error) {
	legacy, hash, err := r.legacy()
	if err != nil {
		return nil, false, err
	}
	type read struct {
		rules *facts.ServiceRules
		seen  svcSeen
	}
	got, err := whole(func() (read, error) {
		before, has, err := r.generation()
		if err != nil {
			return read{}, err
		}
		now := svcSeen{before, hash}
		if r.held != nil && now == r.seen {
			return read{r.held, now}, nil
		}
		var nf nfDumper
		if has {
			nf = r.conn
		}
		rules, err := r.once(nf, legacy)
		if err != nil {
			return read{}, err
		}
		after, _, err := r.generation()
		if err == nil && after != before {
			err = ErrInterrupted
		}
		return read{rules, now}, err
	})
	if err != nil {
		return nil, false, err
	}
	changed = got.rules != r.held || r.held == nil
	r.seen = got.seen
	return got.rules, changed, nil
}

// once reads both families.
func (r *ServiceReader) once(nf nfDumper, legacy map[int]*legacySource) (*facts.ServiceRules, error) {
	rules := &facts.ServiceRules{Mode: r.options.Mode, Families: []int{4, 6}}
	for _, family := range [...]uint8{unix.NFPROTO_IPV4, unix.NFPROTO_IPV6} {
		b, err := r.family(nf, family, legacy[svcFamily(family)])
		if err != nil {
			return nil, err
		}
		b.finish()
		rules.NodePorts = append(rules.NodePorts, b.scope)
		rules.Ahead = append(rules.Ahead, b.before...)
		if rules.Paths == nil {
			rules.Paths = b.paths
		} else {
			rules.Paths = append(rules.Paths, b.paths...)
		}
	}
	return rules, nil
}

func (r *ServiceReader) family(nf nfDumper, family uint8, legacy *legacySource) (*svcBuilder, error) {
	if r.options.Mode == facts.ModeNFTables {
		x := newSvcNFTables(nf, family, r.options.Trace)
		x.likely = services.NewLikely(r.cluster, r.ns.host.sha256)
		if nf == nil {
			return &x.svcBuilder, nil
		}
		maps := &r.maps[(svcFamily(family)-4)/2]
		if err := x.remember(maps); err != nil {
			return nil, err
		}
		err := x.read()
		if err == nil && x.maps != nil {
			*maps = x.maps.now
		}
		return &x.svcBuilder, err
	}
	src, err := chooseSource(nf, family, legacy)
	if err != nil {
		return nil, err
	}
	x := newSvcIPTables(src, svcFamily(family), r.options.Trace)
	return &x.svcBuilder, x.read()
}

// chooseSource finds the backend that holds Services.
func chooseSource(nf nfDumper, family uint8, legacy *legacySource) (svcSource, error) {
	var found []svcSource
	var all []svcSource
	if legacy != nil {
		all = append(all, legacy)
	}
	if nf != nil {
		all = append(all, newNFTSource(nf, family))
	}
	if len(all) == 1 {
		return all[0], nil // and the list of all Services is not read for this alone
	}
	for _, src := range all {
		jumps := false
		for _, table := range [...]string{"nat", "filter"} {
			err := src.rules(table, services.ChainServices, func(r *svcRule) error {
				jumps = jumps || r.verdict != svcNone
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		if jumps {
			found = append(found, src)
		}
	}
	switch {
	case len(found) == 2:
		return nil, ErrTwoBackends
	case len(found) == 1:
		return found[0], nil
	case len(all) > 0:
		return all[len(all)-1], nil
	}
	return newLegacySource(legacyFamily{}), nil
}

// legacy copies the tables of the legacy backend, where they are registered, and gives a hash of them without their counters.
func (r *ServiceReader) legacy() (map[int]*legacySource, uint64, error) {
	if r.options.Mode != facts.ModeIPTables {
		return nil, 0, nil
	}
	var sources map[int]*legacySource
	r.hash.Reset()
	for _, f := range legacyFamilies() {
		names, err := r.ns.legacyNames(f)
		if err != nil {
			return nil, 0, err
		}
		for _, name := range []string{"nat", "filter", "raw", "mangle"} {
			if !slices.Contains(names, name) {
				continue
			}
			t, err := f.read(name)
			if err != nil {
				return nil, 0, fmt.Errorf("legacy table %s %s: %w", f.name, name, err)
			}
			if sources == nil {
				sources = map[int]*legacySource{}
			}
			if sources[svcFamily(f.proto)] == nil {
				sources[svcFamily(f.proto)] = newLegacySource(f)
			}
			sources[svcFamily(f.proto)].add(t)
			t.hash(&r.hash)
		}
	}
	return sources, r.hash.Sum64(), nil
}
