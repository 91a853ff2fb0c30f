package host

import (
	"path/filepath"

	"github.com/netmend/netmend/pkg/fix"
)

// resets names, as patterns of [filepath.Glob] below /proc/sys, what else the kernel writes when a sysctl is written: inet_forward_change in
// net/ipv4/devinet.c, addrconf_forward_change in net/ipv6/addrconf.c. Large receive offload, which the former switches off, stays off.
func resets(k fix.Knob) []string {
	switch k {
	case fix.Sysctl("net/ipv4/ip_forward"), fix.Sysctl("net/ipv4/conf/all/forwarding"):
		return []string{"net/ipv4/conf/*/forwarding", "net/ipv4/conf/all/accept_redirects"}
	case fix.Sysctl("net/ipv6/conf/all/forwarding"):
		return []string{"net/ipv6/conf/*/forwarding"}
	}
	return nil
}

// Beside reads the sysctls that a write of the change's knob resets beside it, by their paths; nil where it resets none.
func (h *Host) Beside(ns *NS, c fix.Change) (map[string]string, error) {
	patterns := resets(c.Knob)
	if patterns == nil {
		return nil, nil
	}
	_, own := c.Knob.Split()
	values := map[string]string{}
	err := ns.Do(func() error {
		for _, pattern := range patterns {
			matches, err := filepath.Glob(ns.procSys(pattern))
			if err != nil {
				return err
			}
			for _, match := range matches {
				path, err := filepath.Rel(ns.procSys(""), match)
				if err != nil {
					return err
				}
				if path == own || !fix.ValidSysctl(path) {
					continue
				}
				if err := ns.addSysctl(values, path); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return values, err
}
