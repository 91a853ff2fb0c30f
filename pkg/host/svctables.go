package host

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

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
