package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// maxIPVSText bounds /proc/net/ip_vs: 10,000 virtual servers with 5 destinations each take 4 MiB.
const maxIPVSText = 256 << 20

// virtualServer is one of IPVS.
type virtualServer struct {
	front      svcFront
	persistent bool
	backends   []facts.ServiceBackend
}

// virtualServers reads IPVS mode: the servers and their destinations from /proc/net/ip_vs, of what kind they are from kube-proxy's sets, and who is masqueraded
// from the rules that look the sets up. IPVS has no generation: the text is read again until two readings agree.
func (r *ServiceReader) virtualServers() (rules *facts.ServiceRules, changed bool, err error) {
	type read struct {
		rules *facts.ServiceRules
		seen  svcSeen
	}
	got, err := whole(func() (read, error) {
		text, kernels, err := r.ns.ipvsText()
		if errors.Is(err, fs.ErrNotExist) {
			return read{}, fmt.Errorf("IPVS: %w", ErrAbsent)
		}
		if err != nil {
			return read{}, err
		}
		r.hash.Reset()
		list, err := parseVirtualServers(text, &r.hash)
		if err != nil {
			return read{}, err
		}
		x := newSvcIPVS(list, r.options.Trace)
		if err := x.context(r, kernels); err != nil {
			return read{}, err
		}
		sum := r.hash.Sum64()
		rules, err := x.rules()
		if err != nil {
			return read{}, err
		}
		if text, _, err = r.ns.ipvsText(); err != nil {
			return read{}, err
		}
		r.hash.Reset()
		if !hashServers(text, &r.hash) || r.hash.Sum64() != x.servers {
			return read{}, ErrInterrupted
		}
		return read{rules, svcSeen{other: sum}}, nil
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

// hashServers adds a text's servers and destinations to a hash, without the numbers of their connections. Not ok where a line is none of either.
func hashServers(text []byte, h hasher) bool {
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte{'\n'})
		if bytes.HasPrefix(line, []byte("  ->")) {
			f := fieldsOf(line)
			if f.n < 4 {
				return false
			}
			line = line[:f.end[3]] // up to the weight
		}
		_, _ = h.Write(line) // a hash takes everything
	}
	return true
}

// lineFields are the first fields of a line.
type lineFields struct {
	line       []byte
	start, end [8]int
	n          int
}

func fieldsOf(line []byte) (f lineFields) {
	f.line = line
	for i := 0; i < len(line) && f.n < len(f.start); {
		for i < len(line) && line[i] == ' ' {
			i++
		}
		from := i
		for i < len(line) && line[i] != ' ' {
			i++
		}
		if i > from {
			f.start[f.n], f.end[f.n] = from, i
			f.n++
		}
	}
	return f
}

func (f *lineFields) at(i int) []byte { return f.line[f.start[i]:f.end[i]] }

// parseVirtualServers reads the text of /proc/net/ip_vs, see parseIPVS. Behind a server's scheduler stand "ops", and "persistent" with a time in the kernel's
// own ticks. Servers of a firewall mark, which kube-proxy does not make, are left out.
func parseVirtualServers(text []byte, h hasher) (list []virtualServer, err error) {
	rest, count, skip := text, 0, true
	var chunk []facts.ServiceBackend
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{'\n'})
		f := fieldsOf(line)
		if f.n < 2 || string(f.at(1)) == "RemoteAddress:Port" || string(f.at(0)) == "Prot" || string(f.at(0)) == "IP" {
			continue
		}
		if count++; count > maxIPVS {
			return nil, fmt.Errorf("more than %d servers and destinations", maxIPVS)
		}
		switch string(f.at(0)) {
		case "->":
			if skip {
				continue
			}
			if f.n < 4 {
				return nil, fmt.Errorf("destination %q", line)
			}
			addr, err := parseIPVSAddr(f.at(1))
			if err != nil {
				return nil, err
			}
			weight, err := strconv.ParseUint(string(f.at(3)), 10, 31)
			if err != nil {
				return nil, fmt.Errorf("weight of %s: %w", f.at(1), err)
			}
			s := &list[len(list)-1]
			if len(s.backends) == 0 || cap(chunk) == len(chunk) {
				if cap(chunk)-len(chunk) < 64 {
					chunk = make([]facts.ServiceBackend, 0, maxBackendChunk)
				}
				moved := append(chunk, s.backends...)
				s.backends, chunk = moved[len(chunk):], moved
			}
			chunk = append(chunk, facts.ServiceBackend{Addr: addr, Weight: uint32(weight)})
			s.backends = chunk[len(chunk)-len(s.backends)-1:]
		case "TCP", "UDP", "SCTP":
			addr, err := parseIPVSAddr(f.at(1))
			if err != nil {
				return nil, err
			}
			s := virtualServer{front: svcFront{addr.Addr(), addr.Port(), ipvsProto(f.at(0)[0])}}
			for i := 3; i < f.n; i++ {
				s.persistent = s.persistent || string(f.at(i)) == "persistent"
			}
			list, skip = append(list, s), false
		default:
			skip = true
		}
	}
	if !hashServers(text, h) {
		return nil, errors.New("a destination that is cut short")
	}
	return list, nil
}

func ipvsProto(first byte) uint8 {
	switch first {
	case 'T':
		return unix.IPPROTO_TCP
	case 'U':
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_SCTP
}

// parseIPVSAddr is ipvsAddr for IPv4 without garbage.
func parseIPVSAddr(s []byte) (netip.AddrPort, error) {
	if len(s) != 13 || s[8] != ':' {
		return ipvsAddr(string(s))
	}
	n := uint64(0)
	for i, c := range s {
		var d byte
		switch {
		case i == 8:
			continue
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		default:
			return netip.AddrPort{}, fmt.Errorf("address %q", s)
		}
		n = n<<4 | uint64(d)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n >> 40), byte(n >> 32), byte(n >> 24), byte(n >> 16)}), uint16(n)), nil
}
