package host

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Conntrack reads the usage of the connection-tracking table of the calling thread's namespace and its statistics, summed over the processors. It
// must be called inside Do. A kernel without connection tracking, or whose module is not loaded, gives ErrAbsent. Stats is nil where the kernel
// has no /proc/net/stat/nf_conntrack (CONFIG_NF_CONNTRACK_PROCFS).
func (n *NS) Conntrack() (*facts.Conntrack, error) {
	var c facts.Conntrack
	for name, to := range map[string]*uint64{"nf_conntrack_count": &c.Count, "nf_conntrack_max": &c.Max} {
		path := n.procSys("net/netfilter/" + name)
		data, err := readSmall(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read connection tracking: %w", ErrAbsent)
		}
		if err == nil {
			*to, err = strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("read connection tracking: %w", err)
		}
	}
	data, err := readSmall(n.procNet("stat/nf_conntrack"))
	if err == nil {
		c.Stats, err = parseConntrackStats(string(data))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read connection tracking statistics: %w", err)
	}
	return &c, nil
}

// parseConntrackStats sums the lines of /proc/net/stat/nf_conntrack, one for each processor, by the names in its first line. Numbers are hexadecimal.
// The first column, entries, repeats the whole table's count in each line and is no sum.
func parseConntrackStats(text string) (map[string]uint64, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	names := strings.Fields(lines[0])
	if len(lines) < 2 || len(names) == 0 {
		return nil, errors.New("no statistics in it")
	}
	stats := make(map[string]uint64, len(names))
	for _, line := range lines[1:] {
		values := strings.Fields(line)
		if len(values) != len(names) {
			return nil, fmt.Errorf("%d values for %d names", len(values), len(names))
		}
		for i, name := range names {
			v, err := strconv.ParseUint(values[i], 16, 64)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if name != "entries" {
				stats[name] += v
			}
		}
	}
	return stats, nil
}
