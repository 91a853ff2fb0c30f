package host

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// nftWatch hears of each generation of the namespace's rule set.
type nftWatch struct {
	host *Host
	fd   int
}

func (n *nftWatch) file() int    { return n.fd }
func (n *nftWatch) deaf() string { return "" }
func (n *nftWatch) close()       { closeWatch(&n.fd) }

func (n *nftWatch) all(c *changes) { c.kinds(facts.KindNFTables, facts.KindServiceVIPs) }

// open joins the group only where nf_tables is loaded, as joining would load it (nfnetlink_bind).
func (n *nftWatch) open() error {
	if n.host.node.unloaded("netfilter/nf_tables") {
		return ErrAbsent
	}
	err := n.host.node.Do(func() (err error) {
		n.fd, err = openWatch(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		if err := filterGenerations(n.fd); err != nil {
			return err
		}
		return unix.SetsockoptInt(n.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, unix.NFNLGRP_NFTABLES)
	})
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	return nil
}

// filterGenerations keeps all but the word of a new generation from the socket: the kernel tells each rule and element of a transaction too, a hundred
// thousand of them when kube-proxy starts, and that word in a datagram of its own at the end (nf_tables_gen_notify).
func filterGenerations(fd int) error {
	// A classic filter loads numbers in network byte order; the header's are in the machine's.
	typ := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, nftMsg(unix.NFT_MSG_NEWGEN)))
	const typeOffset = 4 // of struct nlmsghdr
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: typeOffset},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(typ), Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// read takes an overflow for one more generation: no word says more than that there is another.
func (n *nftWatch) read(c *changes) error {
	lost, err := drainWatch(n.fd, c, func(m nlMsg) { n.message(m, c) })
	if lost {
		n.all(c)
		c.Lost = true
		c.cause("nftables overflow")
	}
	if err != nil {
		return fmt.Errorf("watch nftables: %w", err)
	}
	return nil
}

// message adds one generation, and the name of the program that made it.
func (n *nftWatch) message(m nlMsg, c *changes) {
	if m.Type != nftMsg(unix.NFT_MSG_NEWGEN) {
		return
	}
	n.all(c)
	by := ""
	err := nfAttrs(m.Body, func(typ uint16, v []byte) {
		if typ == unix.NFTA_GEN_PROC_NAME {
			by = attrString(v)
		}
	})
	if err != nil || by == "" {
		c.cause("nftables")
		return
	}
	c.cause("nftables by", by)
}
