package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/netmend/netmend/pkg/facts"
)

// Softnet reads /proc/net/softnet_stat, which is the machine's, and the namespace's sockstat and sockstat6. It must be called inside Do.
func (n *NS) Softnet() (*facts.Softnet, error) {
	data, err := readSmall(n.procNet("softnet_stat"))
	if err != nil {
		return nil, fmt.Errorf("read softnet counters: %w", err)
	}
	s := parseSoftnet(data)
	if s.Sockstat, err = n.sockstat(); err != nil {
		return nil, err
	}
	return s, nil
}

// sockstat are counts of sockets: "TCP.inuse".
type sockstat map[string]int64

// none says that the kernel counts no such socket, as opposed to not counting them.
func (s sockstat) none(count string) bool {
	v, ok := s[count]
	return ok && v == 0
}

// sockstat reads how many sockets the namespace has; a file that is not there adds nothing.
func (n *NS) sockstat() (sockstat, error) {
	all := sockstat{}
	for _, name := range []string{"sockstat", "sockstat6"} {
		err := n.withFile(n.procNet(name), maxFile, func(b []byte) { parseSockstat(b, all) })
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read socket counters: %w", err)
		}
	}
	return all, nil
}

// parseSoftnet sums the lines, one for each processor: hexadecimal, processed, dropped and squeezed first.
func parseSoftnet(b []byte) *facts.Softnet {
	sum := &facts.Softnet{}
	for line := range bytes.Lines(b) {
		var v [3]uint64
		ok := true
		for i := range v {
			var field []byte
			field, line = nextField(line)
			n, err := strconv.ParseUint(string(field), 16, 32) // the kernel prints 32 bits of each
			ok = ok && err == nil
			v[i] = n
		}
		if ok {
			sum.Processed, sum.Dropped, sum.Squeezed = sum.Processed+v[0], sum.Dropped+v[1], sum.Squeezed+v[2]
		}
	}
	return sum
}

// parseSockstat reads lines such as "TCP: inuse 5 orphan 0 tw 2" as "TCP.inuse" and so on.
func parseSockstat(b []byte, into map[string]int64) {
	for line := range bytes.Lines(b) {
		group, rest, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		for {
			var name, value []byte
			name, rest = nextField(rest)
			value, rest = nextField(rest)
			if len(value) == 0 {
				break
			}
			if v, err := strconv.ParseInt(string(value), 10, 64); err == nil {
				into[string(group)+"."+string(name)] = v
			}
		}
	}
}
