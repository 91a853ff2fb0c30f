package host

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// Counters reads the namespace's protocol counters of /proc/net/netstat, snmp and, where there is IPv6, snmp6, by their names with their group. It
// must be called inside Do.
func (n *NS) Counters() (map[string]uint64, error) {
	all := make(map[string]uint64, 512)
	for _, name := range []string{"netstat", "snmp"} {
		data, err := readSmall(n.procNet(name))
		if err != nil {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		parsePairs(string(data), all)
	}
	data, err := readSmall(n.procNet("snmp6"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read counters: %w", err)
	}
	parseSNMP6(string(data), all)
	return all, nil
}

// parsePairs reads netstat and snmp, where each group has a line of names and then one of values. A line without its partner, and a value that is
// not a counter (Tcp.MaxConn is -1), is left out.
func parsePairs(s string, into map[string]uint64) {
	var group, names string
	for line := range strings.Lines(s) {
		g, rest, ok := strings.Cut(line, ":")
		switch {
		case !ok:
			group = ""
		case g != group:
			group, names = g, rest
		default:
			pairUp(group, names, rest, into)
			group = ""
		}
	}
}

func pairUp(group, names, values string, into map[string]uint64) {
	for {
		var name, value string
		name, names = nextField(names)
		value, values = nextField(values)
		if name == "" || value == "" {
			return
		}
		if v, err := strconv.ParseUint(value, 10, 64); err == nil {
			into[group+"."+name] = v
		}
	}
}

// nextField cuts the first field off a line.
func nextField(s string) (field, rest string) {
	s = strings.TrimLeft(s, " \t\n\r")
	if i := strings.IndexAny(s, " \t\n\r"); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}

// parseSNMP6 reads lines such as "Udp6InCsumErrors 3" as "Udp6.InCsumErrors". The group ends behind the first 6 or, of UdpLite6, the same.
func parseSNMP6(s string, into map[string]uint64) {
	for line := range strings.Lines(s) {
		name, rest := nextField(line)
		value, _ := nextField(rest)
		i := strings.IndexByte(name, '6')
		if i < 0 || i == len(name)-1 {
			continue
		}
		if v, err := strconv.ParseUint(value, 10, 64); err == nil {
			into[name[:i+1]+"."+name[i+1:]] = v
		}
	}
}
