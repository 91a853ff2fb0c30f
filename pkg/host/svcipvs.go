package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/netmend/netmend/pkg/facts"
)

// virtualServers reads IPVS mode: the servers and their destinations, of what kind they are from kube-proxy's sets, and who is masqueraded from the rules that
// look the sets up. IPVS has no generation: servers are read again until two readings agree.
func (r *ServiceReader) virtualServers() (rules *facts.ServiceRules, changed bool, err error) {
	if err := r.ns.hasIPVS(); errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("IPVS: %w", ErrAbsent)
	} else if err != nil {
		return nil, false, err
	}
	c, servers, err := openServers(r.brief)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	type read struct {
		rules *facts.ServiceRules
		seen  svcSeen
	}
	got, err := whole(func() (read, error) {
		x := newSvcIPVS(&r.hash, r.options.Trace)
		r.hash.Reset()
		if err := servers.each(x.keep); err != nil {
			return read{}, err
		}
		before := r.hash.Sum64()
		if err := x.context(r); err != nil {
			return read{}, err
		}
		sum := r.hash.Sum64()
		if r.held != nil && r.seen.other == sum { // two readings have agreed on it already
			return read{r.held, r.seen}, nil
		}
		r.hash.Reset()
		if err := servers.each(x.sum); err != nil {
			return read{}, err
		}
		if r.hash.Sum64() != before {
			return read{}, ErrInterrupted
		}
		return read{x.rules(), svcSeen{other: sum}}, nil
	})
	if err != nil {
		return nil, false, err
	}
	if r.held != nil && got.seen == r.seen {
		return r.held, false, nil
	}
	r.seen = got.seen
	return got.rules, true, nil
}

// hasher takes bytes into a hash.
type hasher interface {
	Write(b []byte) (int, error)
	Sum64() uint64
}

// sum adds a server and its destinations to the hash.
func (x *svcIPVS) sum(s *virtualServer) error {
	b := binary.NativeEndian.AppendUint32(append(x.line[:0], s.front.proto), s.affinity)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(s.backends)))
	addr := s.front.addr.As16()
	b = binary.NativeEndian.AppendUint16(append(b, addr[:]...), s.front.port)
	for i := range s.backends {
		d := &s.backends[i]
		addr = d.Addr.Addr().As16()
		b = binary.NativeEndian.AppendUint16(append(b, addr[:]...), d.Addr.Port())
		b = binary.NativeEndian.AppendUint32(b, d.Weight)
	}
	x.line = b
	_, _ = x.hash.Write(b) // a hash takes everything
	return nil
}

// keep is sum, and keeps the server.
func (x *svcIPVS) keep(s *virtualServer) error {
	if err := x.sum(s); err != nil { // in the kernel's order
		return err
	}
	kept := *s
	kept.backends = x.take(s.backends)
	x.list = append(x.list, kept)
	return nil
}
