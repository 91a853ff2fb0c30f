package lab

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Listen accepts TCP connections in the namespace and answers each with a few bytes, until the test ends.
func (n *NS) Listen(addr netip.AddrPort) {
	n.t.Helper()
	var l net.Listener
	err := n.Do(func() (err error) {
		l, err = net.Listen("tcp", addr.String())
		return err
	})
	if err != nil {
		n.t.Fatalf("in %s: %v", n.Name, err)
	}
	n.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			c.Write(make([]byte, 2000)) // what arrives is not looked at
			c.Close()
		}
	}()
}

// Connect measures how long a TCP connect from the namespace takes.
func (n *NS) Connect(addr netip.AddrPort, limit time.Duration) (time.Duration, error) {
	var took time.Duration
	err := n.Do(func() error {
		start := time.Now()
		c, err := net.DialTimeout("tcp", addr.String(), limit)
		if err != nil {
			return err
		}
		took = time.Since(start)
		return c.Close()
	})
	return took, err
}

// Counter reads a protocol counter of the namespace from /proc/net/snmp or netstat, for example Udp and InCsumErrors.
func (n *NS) Counter(group, name string) uint64 {
	n.t.Helper()
	var names []string
	for line := range strings.Lines(n.Sh("cat /proc/net/snmp /proc/net/netstat")) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != group+":" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i := range names {
			if names[i] != name {
				continue
			}
			v, err := strconv.ParseUint(fields[i], 10, 64)
			if err != nil {
				n.t.Fatalf("counter %s %s: %v", group, name, err)
			}
			return v
		}
	}
	n.t.Fatalf("no counter %s %s in %s", group, name, n.Name)
	return 0
}

// MustAddr reads an address with port.
func MustAddr(format string, args ...any) netip.AddrPort {
	return netip.MustParseAddrPort(fmt.Sprintf(format, args...))
}

// Send says whether a UDP packet, which as a whole has that many bytes over IPv4, arrives at an address of the other namespace within half a second.
func (n *NS) Send(to *NS, addr netip.Addr, size int) bool {
	n.t.Helper()
	var in, out net.PacketConn
	err := to.Do(func() (err error) {
		in, err = net.ListenPacket("udp", net.JoinHostPort(addr.String(), "0"))
		return err
	})
	if err != nil {
		n.t.Fatalf("in %s: %v", to.Name, err)
	}
	defer in.Close()
	err = n.Do(func() (err error) {
		out, err = net.ListenPacket("udp", ":0")
		return err
	})
	if err != nil {
		n.t.Fatalf("in %s: %v", n.Name, err)
	}
	defer out.Close()
	if err := in.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		n.t.Fatalf("%v", err)
	}
	if _, err := out.WriteTo(make([]byte, size-28), in.LocalAddr()); err != nil {
		return false // the kernel knows already: it is too long
	}
	_, _, err = in.ReadFrom(make([]byte, 1<<16))
	return err == nil
}
