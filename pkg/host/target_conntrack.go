package host

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// ConntrackFill is Conntrack without the statistics, of which there is a line for each processor. It must be called inside Do.
func (n *NS) ConntrackFill() (*facts.Conntrack, error) {
	values, err := n.Sysctls([]string{"net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"})
	if err != nil {
		return nil, fmt.Errorf("read connection tracking: %w", err)
	}
	var c facts.Conntrack
	for path, to := range map[string]*uint64{"net/netfilter/nf_conntrack_count": &c.Count, "net/netfilter/nf_conntrack_max": &c.Max} {
		text, there := values[path]
		if !there {
			return nil, fmt.Errorf("read connection tracking: %w", ErrAbsent)
		}
		if *to, err = strconv.ParseUint(strings.TrimSpace(text), 10, 64); err != nil {
			return nil, fmt.Errorf("read connection tracking: %w", err)
		}
	}
	return &c, nil
}
