package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// ID is the number by which this namespace knows another (RTM_GETNSID), as IFLA_LINK_NETNSID gives it; nil where the kernel has given it none. The
// first use of the namespace's route socket must be inside Do; later ones need not be.
func (n *NS) ID(other *NS) (*int, error) {
	l, err := n.route()
	if err != nil {
		return nil, err
	}
	req := appendAttr(make([]byte, align4(unix.SizeofRtGenmsg)), unix.NETNSA_FD, binary.NativeEndian.AppendUint32(nil, uint32(other.FD())))
	var id *int
	err = l.request(unix.RTM_GETNSID, 0, req, func(m nlMsg) (err error) {
		id, err = parseNSID(m.Body)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the id of network namespace %d: %w", other.Inode, err)
	}
	return id, nil
}

// parseNSID reads one RTM_NEWNSID message.
func parseNSID(b []byte) (*int, error) {
	_, tail, err := split(b, align4(unix.SizeofRtGenmsg))
	if err != nil {
		return nil, err
	}
	var id *int
	err = eachAttr(tail, func(typ uint16, v []byte) {
		if typ == unix.NETNSA_NSID && int32(attrUint32(v)) != unix.NETNSA_NSID_NOT_ASSIGNED {
			id = new(int(int32(attrUint32(v))))
		}
	})
	return id, err
}
