package lab

import "fmt"

// Program puts a program that does nothing into the node's files.
func (n *Node) Program(path string) {
	n.t.Helper()
	n.Write(path, "#!/bin/sh\n")
	if _, err := Shell("chmod +x " + n.Root + "/" + path); err != nil {
		n.t.Fatalf("%v", err)
	}
}

// BridgePod makes a pod with a veth pair whose host end is a port of the node's bridge. The address has its prefix length, and options of ip addr behind it.
func (n *Node) BridgePod(bridge, dev string, mtu int, address, gateway string) *NS {
	n.t.Helper()
	p := n.Pod("pod")
	Veth(n.NS, dev, p, "eth0")
	n.Sh(fmt.Sprintf("ip link set %s mtu %d; ip link set %s master %s; bridge link set dev %s hairpin on", dev, mtu, dev, bridge, dev))
	p.Sh(fmt.Sprintf("ip link set eth0 mtu %d; ip addr add %s dev eth0; ip route add default via %s", mtu, address, gateway))
	return p
}
