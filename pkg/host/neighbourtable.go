package host

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// NeighbourTable reads how full the neighbour tables are. Their entries are counted over all namespaces, but the files are in the initial one only:
// elsewhere it gives ErrAbsent. It must be called inside Do.
func (n *NS) NeighbourTable() (*facts.NeighbourTable, error) {
	t := &facts.NeighbourTable{}
	for _, family := range []struct {
		file, sysctl string
		into         **facts.TableFill
	}{
		{"stat/arp_cache", "net/ipv4/neigh/default/gc_thresh3", &t.ARP},
		{"stat/ndisc_cache", "net/ipv6/neigh/default/gc_thresh3", &t.NDP},
	} {
		data, err := readSmall(n.procNet(family.file))
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read neighbour tables: %w", err)
		}
		fill, ok := parseTableFill(string(data))
		if !ok {
			continue
		}
		if v, err := strconv.ParseInt(firstWord(n.sysctl(family.sysctl)), 10, 64); err == nil {
			fill.GCThresh3 = &v
		}
		*family.into = fill
	}
	if t.ARP == nil && t.NDP == nil {
		return nil, &absence{what: "neighbour tables", why: "only the initial network namespace shows them"}
	}
	return t, nil
}

// parseTableFill reads a file of /proc/net/stat: a line of names, then for each processor a line of hexadecimal values. The entries are the whole
// table's in every line, the overflows each processor's own. Kernels before 3.19 do not count overflows.
func parseTableFill(s string) (*facts.TableFill, bool) {
	head, rest, _ := strings.Cut(s, "\n")
	entries, fulls := -1, -1
	for i, name := range strings.Fields(head) {
		switch name {
		case "entries":
			entries = i
		case "table_fulls":
			fulls = i
		}
	}
	var t facts.TableFill
	found := false
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if entries < 0 || entries >= len(fields) {
			continue
		}
		n, err := strconv.ParseUint(fields[entries], 16, 32)
		if err != nil {
			continue
		}
		t.Entries, found = int64(n), true
		if fulls >= 0 && fulls < len(fields) {
			if v, err := strconv.ParseUint(fields[fulls], 16, 32); err == nil {
				t.TableFulls += v
			}
		}
	}
	return &t, found
}
