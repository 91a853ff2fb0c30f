package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

const (
	tcpdiagGetSock     = 18 // TCPDIAG_GETSOCK: the one request that lists both families in one walk of the machine's table of listeners
	sizeofInetDiagReq  = 60 // struct inet_diag_req
	sizeofInetDiagHead = 72 // struct inet_diag_msg
	tcpListen          = 10 // TCP_LISTEN
)

func (n *NS) listeners() (all []facts.Listener, err error) {
	c, err := n.netlink(unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("list TCP listeners: %w", err)
	}
	defer func() { err = errors.Join(err, c.close()) }()
	all, err = listListeners(c)
	if errors.Is(err, unix.ENOENT) {
		err = ErrAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("list TCP listeners: %w", err)
	}
	return all, nil
}

func listListeners(l lister) ([]facts.Listener, error) {
	req := make([]byte, sizeofInetDiagReq)
	req[0] = unix.AF_INET // not looked at
	binary.NativeEndian.PutUint32(req[52:], 1<<tcpListen)
	return whole(func() ([]facts.Listener, error) {
		var all []facts.Listener
		err := l.dump(tcpdiagGetSock, req, func(m nlMsg) error {
			v, ok, err := parseListener(m.Body)
			if ok && len(all) < maxEntries {
				all = append(all, v)
			}
			return err
		})
		return all, err
	})
}

// parseListener reads struct inet_diag_msg. Of a listener idiag_rqueue is the accept queue's length and idiag_wqueue its limit.
func parseListener(b []byte) (facts.Listener, bool, error) {
	head, _, err := split(b, sizeofInetDiagHead)
	if err != nil {
		return facts.Listener{}, false, fmt.Errorf("listener: %w", err)
	}
	if head[1] != tcpListen {
		return facts.Listener{}, false, nil
	}
	var addr netip.Addr
	switch head[0] {
	case unix.AF_INET:
		addr = attrAddr(head[8:12])
	case unix.AF_INET6:
		addr = attrAddr(head[8:24])
	default:
		return facts.Listener{}, false, nil
	}
	return facts.Listener{
		Local: netip.AddrPortFrom(addr, attrBE16(head[4:])),
		Queue: binary.NativeEndian.Uint32(head[56:]),
		Limit: binary.NativeEndian.Uint32(head[60:]),
	}, true, nil
}
