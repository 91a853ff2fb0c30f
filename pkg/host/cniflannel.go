package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// flannelEnv reads the file in which flannel tells its plugin the node's subnet; nil where there is none, or none that can be used.
func (h *Host) flannelEnv(path string) (*facts.FlannelEnv, error) {
	data, err := h.readIn(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	env, err := parseFlannelEnv(string(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return env, nil
}

// parseFlannelEnv reads NAME=value lines. Several networks may stand in one line with commas; the first is the node's.
func parseFlannelEnv(text string) (*facts.FlannelEnv, error) {
	env := &facts.FlannelEnv{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value, _, _ = strings.Cut(value, ",")
		var err error
		switch name {
		case "FLANNEL_NETWORK":
			env.Network, err = netip.ParsePrefix(value)
		case "FLANNEL_SUBNET":
			env.Subnet, err = netip.ParsePrefix(value)
		case "FLANNEL_IPV6_NETWORK":
			env.IPv6Network, err = netip.ParsePrefix(value)
		case "FLANNEL_IPV6_SUBNET":
			env.IPv6Subnet, err = netip.ParsePrefix(value)
		case "FLANNEL_MTU":
			var mtu uint64
			mtu, err = strconv.ParseUint(value, 10, 20)
			env.MTU = int(mtu)
		case "FLANNEL_IPMASQ":
			env.IPMasq, err = strconv.ParseBool(value)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return env, nil
}
