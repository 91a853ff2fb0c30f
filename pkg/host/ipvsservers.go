package host

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Commands and attributes of linux/ip_vs.h, which x/sys does not name.
const (
	ipvsGetService = 4 // IPVS_CMD_GET_SERVICE
	ipvsGetDest    = 8 // IPVS_CMD_GET_DEST

	ipvsAttrServer = 1 // IPVS_CMD_ATTR_SERVICE
	ipvsAttrDest   = 2 // IPVS_CMD_ATTR_DEST
)

// virtualServer is one of IPVS.
type virtualServer struct {
	front    svcFront
	affinity uint32 // for how many seconds a client stays with a destination; 0: it does not
	backends []facts.ServiceBackend
}

// exchanger is a netlink socket.
type exchanger interface {
	exchange(typ, flags uint16, body []byte, fn func(m nlMsg) error) error
}

// ipvsReader asks IPVS's netlink family. The list of servers is long, those of their destinations are short and many; the kernel finds a server by its hash.
type ipvsReader struct {
	long, brief exchanger
	family      uint16
	req         []byte
	backends    []facts.ServiceBackend // of one server
}

// openServers opens the calling thread's namespace for reading all of its servers. See [NS.hasIPVS].
func openServers(brief int) (*svcConn, *ipvsReader, error) {
	c, err := openSvcConn(unix.NETLINK_GENERIC, brief)
	if err != nil {
		return nil, nil, err
	}
	r, err := newIPVSReader(&c.long, &c.brief)
	if err != nil {
		return nil, nil, errors.Join(err, c.close())
	}
	return c, r, nil
}

func newIPVSReader(long, brief exchanger) (*ipvsReader, error) {
	r := &ipvsReader{long: long, brief: brief}
	ask := appendAttr([]byte{unix.CTRL_CMD_GETFAMILY, 1, 0, 0}, unix.CTRL_ATTR_FAMILY_NAME, nulString("IPVS"))
	err := brief.exchange(unix.GENL_ID_CTRL, 0, ask, func(m nlMsg) error {
		if len(m.Body) >= unix.GENL_HDRLEN {
			r.family = attrUint16(attrOf(m.Body[unix.GENL_HDRLEN:], unix.CTRL_ATTR_FAMILY_ID))
		}
		return nil
	})
	if err == nil && r.family == 0 {
		err = errCut
	}
	if err != nil {
		return nil, fmt.Errorf("find the netlink family of IPVS: %w", err)
	}
	return r, nil
}

// each gives fn every server with its destinations, which are the reader's again when fn returns. What changes meanwhile may be seen half: IPVS has no generation.
func (r *ipvsReader) each(fn func(s *virtualServer) error) error {
	list, err := r.list()
	if err != nil {
		return err
	}
	left := maxIPVS
	for i := range list {
		s := &list[i]
		if err := r.destinations(s); err != nil {
			return err
		}
		if len(s.backends) == 0 { // also where it is gone by now
			if s, err = r.find(s.front); err != nil {
				return err
			}
			if s == nil {
				continue
			}
		}
		if left -= len(s.backends); left < 0 {
			return fmt.Errorf("more than %d destinations", maxIPVS)
		}
		if err := fn(s); err != nil {
			return err
		}
	}
	return nil
}

// list gives the servers without their destinations, in the kernel's order.
func (r *ipvsReader) list() (list []virtualServer, err error) {
	err = r.long.exchange(r.family, unix.NLM_F_DUMP, []byte{ipvsGetService, 1, 0, 0}, func(m nlMsg) error {
		if len(list) >= maxIPVS {
			return fmt.Errorf("more than %d", maxIPVS)
		}
		s, err := parseIPVSServer(m)
		if err == nil && s.front.proto != 0 {
			list = append(list, s)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list virtual servers: %w", err)
	}
	return list, nil
}

// find looks one server up, with its destinations; nil where there is none.
func (r *ipvsReader) find(front svcFront) (found *virtualServer, err error) {
	err = r.brief.exchange(r.family, 0, r.request(ipvsGetService, front), func(m nlMsg) error {
		s, err := parseIPVSServer(m)
		found = &s
		return err
	})
	switch {
	case errors.Is(err, unix.ESRCH):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("find %s: %w", front, err)
	case found == nil:
		return nil, fmt.Errorf("find %s: %w", front, errCut)
	}
	return found, r.destinations(found)
}

// destinations asks for those of one server. A server that is gone meanwhile has none.
func (r *ipvsReader) destinations(s *virtualServer) error {
	r.backends = r.backends[:0]
	err := r.brief.exchange(r.family, unix.NLM_F_DUMP, r.request(ipvsGetDest, s.front), func(m nlMsg) error {
		b, err := parseIPVSDest(m, s.front.addr.Is6())
		r.backends = append(r.backends, b)
		return err
	})
	if err != nil {
		return fmt.Errorf("list the destinations of %s: %w", s.front, err)
	}
	s.backends = r.backends
	return nil
}

// request asks about one server.
func (r *ipvsReader) request(command uint8, front svcFront) []byte {
	family := uint16(unix.AF_INET)
	if front.addr.Is6() {
		family = unix.AF_INET6
	}
	b := append(r.req[:0], command, 1, 0, 0)
	at := len(b)
	b = binary.NativeEndian.AppendUint32(b, 0) // the head of the attribute that holds the others
	b = appendAttr(b, ipvsServerAF, binary.NativeEndian.AppendUint16(nil, family))
	b = appendAttr(b, ipvsServerProtocol, binary.NativeEndian.AppendUint16(nil, uint16(front.proto)))
	b = appendAttr(b, ipvsServerAddr, front.addr.AsSlice())
	b = appendAttr(b, ipvsServerPort, binary.BigEndian.AppendUint16(nil, front.port))
	binary.NativeEndian.PutUint16(b[at:], uint16(len(b)-at))
	binary.NativeEndian.PutUint16(b[at+2:], ipvsAttrServer|unix.NLA_F_NESTED)
	r.req = b
	return b
}
