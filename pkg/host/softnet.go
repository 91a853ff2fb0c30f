package host

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Softnet reads /proc/net/softnet_stat, which is the machine's, and the namespace's sockstat and sockstat6. It must be called inside Do.
func (n *NS) Softnet() (*facts.Softnet, error) {
	data, err := readSmall(n.procNet("softnet_stat"))
	if err != nil {
		return nil, fmt.Errorf("read softnet counters: %w", err)
	}
	s := parseSoftnet(string(data))
	s.Sockstat = map[string]int64{}
	for _, name := range []string{"sockstat", "sockstat6"} {
		data, err := readSmall(n.procNet(name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read socket counters: %w", err)
		}
		parseSockstat(string(data), s.Sockstat)
	}
	return s, nil
}

// parseSoftnet sums the lines, one for each processor: hexadecimal, processed, dropped and squeezed first.
func parseSoftnet(s string) *facts.Softnet {
	sum := &facts.Softnet{}
	for line := range strings.Lines(s) {
		var v [3]uint64
		ok := true
		for i := range v {
			var field string
			field, line = nextField(line)
			n, err := strconv.ParseUint(field, 16, 32) // the kernel prints 32 bits of each
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
func parseSockstat(s string, into map[string]int64) {
	for line := range strings.Lines(s) {
		group, rest, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		for {
			var name, value string
			name, rest = nextField(rest)
			value, rest = nextField(rest)
			if value == "" {
				break
			}
			if v, err := strconv.ParseInt(value, 10, 64); err == nil {
				into[group+"."+name] = v
			}
		}
	}
}
