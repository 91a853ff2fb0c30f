package checks

import (
	"strings"

	"github.com/netmend/netmend/pkg/fix"
)

// dhcpOff says where each distribution's network configuration switches DHCP on for a device, and what to write there. For a distribution that is not
// known it gives all of them.
func dhcpOff(distribution, dev string) []string {
	netplan := []string{fix.Shell(nil, "grep", "-rn", "-A8", dev, "/etc/netplan") + "  # netplan: set `dhcp4: false`"}
	ifupdown := []string{
		fix.Shell(nil, "grep", "-rn", "iface "+dev+" inet", "/etc/network/interfaces", "/etc/network/interfaces.d") + "  # ifupdown: `inet static`, no line with `inet dhcp`",
	}
	redhat := []string{
		fix.Shell(nil, "grep", "-nE", "BOOTPROTO|IPADDR", "/etc/sysconfig/network-scripts/ifcfg-"+dev) + "  # ifcfg: set BOOTPROTO=none",
		"nmcli -f NAME,DEVICE connection show --active  # NetworkManager: `nmcli connection modify NAME ipv4.method manual` for the one on " + fix.Shell(nil, dev),
	}
	switch {
	case hasWord(distribution, "Ubuntu"):
		return netplan
	case hasWord(distribution, "Debian"):
		return ifupdown
	case hasWord(distribution, "CentOS", "Red Hat", "Rocky", "Alma", "Oracle", "Fedora", "Amazon"):
		return redhat
	}
	return append(append(netplan, ifupdown...), redhat...)
}

func hasWord(text string, words ...string) bool {
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
