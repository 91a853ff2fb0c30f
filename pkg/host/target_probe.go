package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

const (
	probeFrame    = 256 // the longest frame that is of interest
	etherHead     = 14
	maxProbeFrame = 4096 // frames that are looked at while waiting, so that a flood cannot hold the pod up
)

// ProbeAddresses asks the link who has the addresses, count times with a pause after each, and gives who answered. The questions name no sender, so that no
// neighbour cache learns from them. The link must be an Ethernet one. It must be called inside Do; it needs CAP_NET_RAW.
func (n *NS) ProbeAddresses(link facts.Link, addrs []netip.Addr, count int, pause time.Duration) ([]facts.Probe, error) {
	mac, err := net.ParseMAC(link.MAC)
	if err != nil || len(mac) != 6 {
		return nil, fmt.Errorf("probe addresses on %s: %w: no Ethernet address", link.Name, ErrAbsent)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("probe addresses on %s: %w", link.Name, err)
	}
	p := &prober{fd: fd, mac: mac}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: link.Index})
	for _, a := range addrs {
		p.probes = append(p.probes, facts.Probe{Link: link.Index, IP: a.Unmap(), Holders: nil})
	}
	for range count {
		for i := range p.probes {
			if err == nil {
				_, err = unix.Write(fd, probeFor(mac, p.probes[i].IP))
				p.probes[i].Sent++
			}
		}
		if err == nil {
			err = p.listen(time.Now().Add(pause))
		}
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return nil, fmt.Errorf("probe addresses on %s: %w", link.Name, err)
	}
	return p.probes, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// prober is one socket and what was heard on it.
type prober struct {
	fd     int
	mac    net.HardwareAddr
	probes []facts.Probe
	frames int
}

func (p *prober) listen(until time.Time) error {
	buf := make([]byte, probeFrame)
	for p.frames < maxProbeFrame {
		left := time.Until(until)
		if left <= 0 {
			return nil
		}
		ts := unix.NsecToTimespec(int64(left))
		_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &ts, nil)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		n, err := unix.Read(p.fd, buf)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		p.frames++
		p.take(buf[:n])
	}
	time.Sleep(time.Until(until))
	return nil
}

// take counts an answer. What the pod itself sends comes along and is left out.
func (p *prober) take(frame []byte) {
	holder, ip, ok := parseHolder(frame)
	if !ok || holder.String() == p.mac.String() {
		return
	}
	for i := range p.probes {
		if p.probes[i].IP == ip {
			countHolder(&p.probes[i], holder.String())
		}
	}
}

func countHolder(p *facts.Probe, mac string) {
	for i := range p.Holders {
		if p.Holders[i].MAC == mac {
			p.Holders[i].Answers = min(p.Holders[i].Answers+1, p.Sent)
			return
		}
	}
	if len(p.Holders) < 16 {
		p.Holders = append(p.Holders, facts.ProbeHolder{MAC: mac, Answers: 1})
	}
}

// parseHolder finds who says that it has which address: the sender of an ARP packet (RFC 826), or the target of a neighbour advertisement (RFC 4861 section
// 4.4), whose holder is the sender of the frame.
func parseHolder(b []byte) (mac net.HardwareAddr, ip netip.Addr, ok bool) {
	if len(b) < etherHead {
		return nil, ip, false
	}
	body := b[etherHead:]
	switch binary.BigEndian.Uint16(b[12:]) {
	case unix.ETH_P_ARP:
		if len(body) < 28 || binary.BigEndian.Uint16(body) != 1 || binary.BigEndian.Uint16(body[2:]) != unix.ETH_P_IP || body[4] != 6 || body[5] != 4 {
			return nil, ip, false
		}
		ip = netip.AddrFrom4([4]byte(body[14:18]))
		return net.HardwareAddr(body[8:14]), ip, !ip.IsUnspecified()
	case unix.ETH_P_IPV6:
		const head, advertisement = 40, 136
		if len(body) < head+24 || body[6] != unix.IPPROTO_ICMPV6 || body[7] != 255 || body[head] != advertisement {
			return nil, ip, false
		}
		return net.HardwareAddr(b[6:12]), netip.AddrFrom16([16]byte(body[head+8 : head+24])), true
	}
	return nil, ip, false
}

// probeFor makes the whole frame of one question.
func probeFor(mac net.HardwareAddr, ip netip.Addr) []byte {
	if ip.Is4() {
		b := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac...)
		b = append(b, 0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1) // ARP, Ethernet, IPv4, request
		b = append(b, mac...)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // no sender's address, no target's MAC
		return append(b, ip.AsSlice()...)
	}
	return solicitation(mac, ip)
}

// solicitation is a neighbour solicitation from the unspecified address to the solicited-node multicast address.
func solicitation(mac net.HardwareAddr, ip netip.Addr) []byte {
	target := ip.As16()
	group := [16]byte{0xff, 0x02, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}
	b := append([]byte{0x33, 0x33, 0xff, target[13], target[14], target[15]}, mac...)
	b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 24, unix.IPPROTO_ICMPV6, 255)
	b = append(b, make([]byte, 16)...)
	b = append(b, group[:]...)
	icmp := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target[:]...)
	sum := uint32(len(icmp)) + unix.IPPROTO_ICMPV6
	for _, part := range [][]byte{group[:], icmp} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(icmp[2:], ^uint16(sum))
	return append(b, icmp...)
}
