package host

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Counters are the protocol counters of a namespace at one time, by their names with their group.
type Counters struct {
	Total map[string]uint64
	text  uint64 // a hash of what the kernel said
	size  int    // in bytes
}

// Counters reads the namespace's protocol counters of /proc/net/netstat, snmp and, where there is IPv6, snmp6: those of the names, or all where names is nil. Where
// the kernel says to the letter what it said for an earlier reading of this Host with the same names, which may be nil, that is given again. It must be called
// inside Do.
func (n *NS) Counters(names *CounterNames, earlier *Counters) (*Counters, error) {
	if names == nil {
		names = &n.host.names
	}
	buf := n.host.bufs.get()
	defer n.host.bufs.put(buf)
	b, ends := buf[:0], [3]int{}
	for i, name := range [...]string{"netstat", "snmp", "snmp6"} {
		more, err := readInto(n.procNet(name), b, maxFile)
		if err != nil && !(name == "snmp6" && errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("read counters: %w", err)
		}
		if err == nil {
			b = more
		}
		ends[i] = len(b)
	}
	text := maphash.Bytes(n.host.seed, b)
	if earlier != nil && earlier.text == text && earlier.size == len(b) {
		return earlier, nil
	}
	room := mapOfCounters
	if names.only != nil {
		room = len(names.only)
	}
	c := &Counters{Total: make(map[string]uint64, room), text: text, size: len(b)}
	parsePairs(b[:ends[0]], names, c.Total)
	parsePairs(b[ends[0]:ends[1]], names, c.Total)
	parseSNMP6(b[ends[1]:], names, c.Total)
	return c, nil
}

// mapOfCounters is the most that a map of Go holds in half the room that one entry more would take; Linux 6.18 has some 400 counters. A node keeps such a map for
// each pod.
const mapOfCounters = 448

// CounterNames are the names of counters that are wanted, with what the lines of the kernel's text mean, which is the same in every namespace: hundreds of them share
// it. The zero value wants all. It is safe for concurrent use.
type CounterNames struct {
	only  map[string]bool // nil: all
	mu    sync.Mutex
	lines map[string][]string // full names by the line that gives them; empty for one that is not wanted
}

// NewCounterNames is for those names alone.
func NewCounterNames(names []string) *CounterNames {
	c := &CounterNames{only: make(map[string]bool, len(names))}
	for _, name := range names {
		c.only[name] = true
	}
	return c
}

// maxNameLines bounds what is kept: a kernel has some hundred.
const maxNameLines = 4096

func (c *CounterNames) of(line []byte, split func(string) []string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if names, ok := c.lines[string(line)]; ok {
		return names
	}
	names := split(string(line))
	for i := range names {
		if c.only != nil && !c.only[names[i]] {
			names[i] = ""
		}
	}
	if !slices.ContainsFunc(names, func(name string) bool { return name != "" }) {
		names = nil
	}
	if c.lines == nil || len(c.lines) >= maxNameLines {
		c.lines = map[string][]string{}
	}
	c.lines[string(line)] = names
	return names
}

// parsePairs reads netstat and snmp, where each group has a line of names and then one of values. A line without its partner, and a value that is
// not a counter (Tcp.MaxConn is -1), is left out.
func parsePairs(b []byte, names *CounterNames, into map[string]uint64) {
	var head []byte
	for line := range bytes.Lines(b) {
		group, values, ok := bytes.Cut(line, []byte(":"))
		switch {
		case !ok:
			head = nil
		case head == nil || !bytes.HasPrefix(head, line[:len(group)+1]):
			head = line
		default:
			pairUp(names.of(head, groupNames), values, into)
			head = nil
		}
	}
}

// groupNames splits "Udp: InDatagrams NoPorts" into "Udp.InDatagrams", "Udp.NoPorts".
func groupNames(line string) []string {
	group, rest, _ := strings.Cut(line, ":")
	names := strings.Fields(rest)
	for i := range names {
		names[i] = group + "." + names[i]
	}
	return names
}

func pairUp(names []string, values []byte, into map[string]uint64) {
	for _, name := range names {
		var value []byte
		value, values = nextField(values)
		if len(value) == 0 {
			return
		}
		if name == "" {
			continue
		}
		if v, ok := parseCounter(value); ok {
			into[name] = v
		}
	}
}

// parseSNMP6 reads lines such as "Udp6InCsumErrors 3" as "Udp6.InCsumErrors". The group ends behind the first 6.
func parseSNMP6(b []byte, names *CounterNames, into map[string]uint64) {
	for line := range bytes.Lines(b) {
		name, rest := nextField(line)
		full := names.of(name, splitSNMP6)
		if full == nil {
			continue
		}
		value, _ := nextField(rest)
		if v, ok := parseCounter(value); ok {
			into[full[0]] = v
		}
	}
}

func splitSNMP6(name string) []string {
	i := strings.IndexByte(name, '6')
	if i < 0 || i == len(name)-1 {
		return nil
	}
	return []string{name[:i+1] + "." + name[i+1:]}
}

func parseCounter(b []byte) (uint64, bool) {
	v, err := strconv.ParseUint(string(b), 10, 64)
	return v, err == nil
}

// nextField cuts the first field off a line.
func nextField(b []byte) (field, rest []byte) {
	start := 0
	for start < len(b) && space(b[start]) {
		start++
	}
	end := start
	for end < len(b) && !space(b[end]) {
		end++
	}
	return b[start:end], b[end:]
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
