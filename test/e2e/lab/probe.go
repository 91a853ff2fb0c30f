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
