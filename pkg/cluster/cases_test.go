package cluster

import (
	"net/netip"
	"time"

	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

func checksumCases() []caseOf {
	c := BadChecksums
	return []caseOf{
		{"translated to the node that counts", c, func(in *Input) {
			tunnel(in, 1).BadChecksums = true
			tunnel(in, 0).Translated = []netip.Addr{ip("192.0.2.2"), ip("192.0.2.9")}
		}, []string{"critical node1 [node1 node2]"}},
		{"each sends to the other", c, func(in *Input) {
			for i := range 2 {
				tunnel(in, i).BadChecksums = true
				tunnel(in, i).Translated = []netip.Addr{ip("192.0.2.1"), ip("192.0.2.2")}
			}
		}, []string{"critical node1 [node1 node2]", "critical node2 [node2 node1]"}},
		{"suspects, no proof", c, func(in *Input) {
			tunnel(in, 1).BadChecksums = true
			tunnel(in, 3).TxChecksum = flag(false)
		}, []string{"warning node2 [node2 node1 node3]"}},
		{"nobody can send them", c, func(in *Input) {
			tunnel(in, 1).BadChecksums = true
			for i := range 4 {
				tunnel(in, i).TxChecksum = flag(false)
			}
		}, []string{"warning node2 [node2]"}},
		{"port hidden, sender's offload on", c, func(in *Input) {
			tunnel(in, 1).BadChecksumsLikely = true
			tunnel(in, 0).Translated = []netip.Addr{ip("192.0.2.2")}
		}, []string{"critical node1 [node1 node2]"}},
		{"port hidden, offload unknown", c, func(in *Input) {
			tunnel(in, 1).BadChecksumsLikely = true
			tunnel(in, 0).Translated, tunnel(in, 0).TxChecksum = []netip.Addr{ip("192.0.2.2")}, nil
		}, nil},
		{"port hidden, nobody translates", c, func(in *Input) { tunnel(in, 1).BadChecksumsLikely = true }, nil},
		{"translated, nobody counts", c, func(in *Input) { tunnel(in, 0).Translated = []netip.Addr{ip("192.0.2.2")} }, nil},
		{"sender mended since: what it remembers is from before", c, func(in *Input) {
			tunnel(in, 1).BadChecksums = true
			tunnel(in, 0).Translated = []netip.Addr{ip("192.0.2.2")}
			for i := range 4 {
				tunnel(in, i).TxChecksum = flag(false)
			}
		}, []string{"warning node2 [node2]"}},
		{"translated to another tunnel's port", c, func(in *Input) {
			tunnel(in, 1).BadChecksumsLikely = true
			tunnel(in, 0).Translated, tunnel(in, 0).Port = []netip.Addr{ip("192.0.2.2")}, 4789
		}, nil},
	}
}

func addressCases() []caseOf {
	c := DuplicateIP
	add := func(in *Input, i int, address string) {
		u := &network(in, i).Uplinks[0]
		u.Addresses = append(u.Addresses, cidr(address))
	}
	return []caseOf{
		{"a node's address at another's uplink", c, func(in *Input) { add(in, 2, "192.0.2.1/24") }, []string{"critical 192.0.2.1 [node1 node3]"}},
		{"two Nodes with one InternalIP", c, func(in *Input) {
			in.Nodes[1].Addresses = []netip.Addr{ip("192.0.2.1")}
		}, []string{"critical 192.0.2.1 [node1 node2]"}},
		{"a pod's address twice", c, func(in *Input) {
			network(in, 0).PodAddresses = []netip.Addr{ip("10.244.2.7")}
			network(in, 1).PodAddresses = []netip.Addr{ip("10.244.2.7")}
		}, []string{"critical 10.244.2.7 [node1 node2]"}},
		{"a pod's address outside of all pod CIDRs", c, func(in *Input) {
			network(in, 0).PodAddresses = []netip.Addr{ip("172.20.0.2")}
			network(in, 1).PodAddresses = []netip.Addr{ip("172.20.0.2")}
		}, []string{"info 172.20.0.2 [node1 node2]"}},
		{"a pod with a node's address", c, func(in *Input) {
			network(in, 0).PodAddresses = []netip.Addr{ip("192.0.2.2")}
		}, []string{"critical 192.0.2.2 [node1 node2]"}},
		{"NAT links of virtual machines", c, func(in *Input) {
			add(in, 0, "10.0.2.15/24")
			add(in, 1, "10.0.2.15/24")
		}, []string{"info 10.0.2.15 [node1 node2]"}},
		{"a virtual address that is moving", c, func(in *Input) {
			add(in, 0, "192.0.2.100/32")
			add(in, 1, "192.0.2.100/32")
		}, nil},
		{"a virtual address at one node, its prefix at the other", c, func(in *Input) {
			add(in, 0, "192.0.2.100/32")
			add(in, 1, "192.0.2.100/24")
		}, nil},
		{"link-local", c, func(in *Input) {
			add(in, 0, "169.254.1.1/16")
			add(in, 1, "169.254.1.1/16")
			add(in, 0, "fe80::1/64")
			add(in, 1, "fe80::1/64")
		}, nil},
		{"the address of a node that is gone, given to another", c, func(in *Input) {
			in.Nodes[2].Ready = false
			add(in, 0, "192.0.2.3/24")
		}, nil},
		{"a pod on the host's network", c, func(in *Input) { network(in, 0).PodAddresses = []netip.Addr{ip("192.0.2.1")} }, nil},
		{"the same node by two links", c, func(in *Input) {
			network(in, 0).Uplinks = append(network(in, 0).Uplinks, nodereport.Uplink{Name: "bond0", MTU: 1500, Addresses: []netip.Prefix{cidr("192.0.2.1/24")}})
		}, nil},
	}
}

func rangeCases() []caseOf {
	c := PodCIDR
	set := func(in *Input, i int, text string) {
		in.Nodes[i].PodCIDRs, network(in, i).PodCIDRs = []netip.Prefix{cidr(text)}, []netip.Prefix{cidr(text)}
	}
	return []caseOf{
		{"two nodes have one", c, func(in *Input) { set(in, 1, "10.244.0.0/24") }, []string{"critical 10.244.0.0/24 [node1 node2]"}},
		{"one within the other", c, func(in *Input) { set(in, 1, "10.244.0.128/25") }, []string{"critical 10.244.0.0/24 [node1 node2]"}},
		{"configuration of one, spec of another", c, func(in *Input) {
			network(in, 1).PodCIDRs = []netip.Prefix{cidr("10.244.0.0/24")}
		}, []string{"critical 10.244.0.0/24 [node1 node2]", "warning node2 [node2]"}},
		{"a node in pods' range", c, func(in *Input) { set(in, 0, "192.0.2.2/31") }, []string{"critical 192.0.2.2/31 [node1 node2 node3]"}},
		{"an uplink's network in pods' range", c, func(in *Input) { set(in, 0, "192.0.2.128/25") }, []string{"warning 192.0.2.128/25 [node1 node2 node3 node4]"}},
		{"another range than the spec's", c, func(in *Input) {
			network(in, 1).PodCIDRs = []netip.Prefix{cidr("10.250.0.0/24")}
		}, []string{"warning node2 [node2]"}},
		{"a network that does not use the spec's", c, func(in *Input) {
			for i := range 4 {
				in.Nodes[i].Flannel = nil
				network(in, i).PodCIDRs = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 250, byte(i), 0}), 24)}
			}
		}, nil},
		{"neighbours", c, func(in *Input) { set(in, 1, "10.244.0.0/25"); set(in, 0, "10.244.0.128/25") }, nil},
		{"macvlan on the nodes' network", c, func(in *Input) {
			for i := range 4 {
				in.Nodes[i].PodCIDRs, network(in, i).Tunnels, network(in, i).PodCIDRs = nil, nil, nil
			}
			network(in, 0).PodCIDRs = []netip.Prefix{cidr("192.0.2.0/24")}
		}, nil},
		{"two families", c, func(in *Input) {
			for i := range 4 {
				network(in, i).PodCIDRs = append(network(in, i).PodCIDRs, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(i)}), 64))
			}
		}, nil},
	}
}

func mtuCases() []caseOf {
	c := MTU
	return []caseOf{
		{"jumbo frames on one node", c, func(in *Input) {
			network(in, 0).Uplinks[0].MTU, tunnel(in, 0).MTU, network(in, 0).PodMTU = 9000, 8950, []int{8950}
		}, []string{"warning vxlan id 1 port 8472 [node1]"}},
		{"pods larger than another's tunnel", c, func(in *Input) { tunnel(in, 2).MTU = 1400 }, []string{"warning vxlan id 1 port 8472 [node1 node2 node4]"}},
		{"a smaller one that its pods have too, all fits", c, func(in *Input) {
			for i := range 4 {
				network(in, i).PodMTU = []int{1400}
			}
			tunnel(in, 2).MTU = 1400
		}, []string{"info vxlan id 1 port 8472 [node3]"}},
		{"uplinks differ and the tunnels fit all", c, func(in *Input) { network(in, 0).Uplinks[0].MTU = 9000 }, nil},
		{"a tunnel too large for its own uplink is the node's own finding", c, func(in *Input) {
			for i := range 4 {
				tunnel(in, i).MTU, network(in, i).PodMTU = 1500, []int{1500}
			}
		}, nil},
		{"another network's tunnel", c, func(in *Input) { tunnel(in, 0).ID, tunnel(in, 0).MTU, network(in, 0).PodMTU = 7, 1400, []int{1400} }, nil},
		{"identifiers by packet", c, func(in *Input) {
			for i := range 4 {
				tunnel(in, i).ID, tunnel(in, i).MTU, network(in, i).PodMTU = 0, 1500, []int{1500}
			}
		}, nil},
	}
}

func flannelCases() []caseOf {
	c := FlannelIdentity
	return []caseOf{
		{"another MAC address", c, func(in *Input) { tunnel(in, 0).MAC = "02:00:00:00:00:99" }, []string{"critical node1 [node1]"}},
		{"another address", c, func(in *Input) { tunnel(in, 0).Local = ip("192.0.2.77") }, []string{"critical node1 [node1]"}},
		{"two announce one MAC address", c, func(in *Input) {
			in.vtep(1).MAC, tunnel(in, 1).MAC = mac(0), mac(0)
		}, []string{"critical " + mac(0) + " of VNI 1 [node1 node2]"}},
		{"two announce one address", c, func(in *Input) {
			in.vtep(1).Public, tunnel(in, 1).Local = ip("192.0.2.1"), ip("192.0.2.1")
		}, []string{"critical 192.0.2.1 [node1 node2]"}},
		{"another VNI", c, func(in *Input) { in.vtep(3).VNI, tunnel(in, 3).ID = 2, 2 }, []string{"critical flannel VNI [node4]"}},
		{"another port", c, func(in *Input) { tunnel(in, 3).Port = 4789 }, []string{"critical flannel port [node4]"}},
		{"another backend", c, func(in *Input) { in.Nodes[3].Flannel = &Flannel{Backend: "host-gw", Written: old} }, []string{"warning flannel backend [node4]"}},
		{"no JSON", c, func(in *Input) { in.Nodes[0].Flannel.Error = "backend-data \"x\" is no JSON of flannel's" }, []string{"warning node1 [node1]"}},
		{"written a moment ago", c, func(in *Input) {
			tunnel(in, 0).MAC, in.Nodes[0].Flannel.Written = "02:00:00:00:00:99", now.Add(-59*time.Second)
		}, nil},
		{"the same MAC address in capitals", c, func(in *Input) { in.vtep(0).MAC = "02:42:00:00:00:00" }, nil},
		{"an address that an administrator chose", c, func(in *Input) { in.vtep(0).Public, in.vtep(0).Overwrite = ip("203.0.113.7"), true }, nil},
		{"a device that sends from any", c, func(in *Input) { tunnel(in, 0).Local = netip.Addr{} }, nil},
		{"a node that is not ready", c, func(in *Input) { tunnel(in, 0).MAC, in.Nodes[0].Ready = "02:00:00:00:00:99", false }, nil},
		{"host-gw everywhere", c, func(in *Input) {
			for i := range 4 {
				in.Nodes[i].Flannel = &Flannel{Backend: "host-gw", V4: &VTEP{Public: ip("192.0.2.77")}}
			}
		}, nil},
	}
}

func proxyCases() []caseOf {
	c := KubeProxyMissing
	return []caseOf{
		{"not ready", c, func(in *Input) {
			in.Proxy.Pods[1].Ready, in.Proxy.Pods[1].Phase, in.Proxy.Pods[1].Since = false, "Running", now.Add(-2*time.Minute)
		}, []string{"critical node2 [node2]"}},
		{"absent", c, func(in *Input) { in.Proxy.Pods = in.Proxy.Pods[:3] }, []string{"critical node4 [node4]"}},
		{"static pods, one is missing", c, func(in *Input) {
			in.Proxy.DaemonSets, in.Proxy.Pods = nil, in.Proxy.Pods[:3]
			for i := range in.Proxy.Pods {
				in.Proxy.Pods[i].Owner = ""
			}
		}, []string{"warning node4 [node4]"}},
		{"no priority class", c, func(in *Input) { in.Proxy.DaemonSets[0].PriorityClass = "" }, []string{"warning kube-system/kube-proxy []"}},
		{"replaced", c, func(in *Input) { in.Proxy = KubeProxy{} }, nil},
		{"switched off by a selector", c, func(in *Input) {
			in.Proxy.DaemonSets[0].Desired, in.Proxy.DaemonSets[0].PriorityClass, in.Proxy.Pods = 0, "", nil
		}, nil},
		{"left out by a selector", c, func(in *Input) { in.Proxy.DaemonSets[0].Desired, in.Proxy.Pods = 3, in.Proxy.Pods[:3] }, nil},
		{"restarting", c, func(in *Input) { in.Proxy.Pods[1].Ready, in.Proxy.Pods[1].Since = false, now.Add(-30*time.Second) }, nil},
		{"a new pod beside an old one", c, func(in *Input) {
			p := in.Proxy.Pods[1]
			p.Name, p.Ready, p.Phase = "kube-system/kube-proxy-old", false, "Failed"
			in.Proxy.Pods = append(in.Proxy.Pods, p)
		}, nil},
		{"a node that has just joined", c, func(in *Input) { in.Nodes[3].Created, in.Proxy.Pods = now.Add(-time.Minute), in.Proxy.Pods[:3] }, nil},
		{"a node of Windows", c, func(in *Input) { in.Nodes[3].OS, in.Proxy.Pods = "windows", in.Proxy.Pods[:3] }, nil},
	}
}

func versionCases() []caseOf {
	return []caseOf{
		{"netmend", Versions, func(in *Input) { in.Reports[2].Status.Versions.Netmend = "v0.0.9" }, []string{"info netmend [node3]"}},
		{"kernel", Versions, func(in *Input) {
			in.Reports[2].Status.Versions.Kernel, in.Nodes[2].Kernel = "5.15.0", "5.15.0"
		}, []string{"info kernel [node3]"}},
		{"none told", Versions, func(in *Input) { in.Reports[2].Status.Versions.Netmend = "" }, nil},
		{"modes", ProxyModes, func(in *Input) { network(in, 0).ProxyMode = "ipvs" }, []string{"warning kube-proxy [node1]"}},
		{"modes, half and half", ProxyModes, func(in *Input) {
			network(in, 0).ProxyMode, network(in, 1).ProxyMode = "ipvs", "ipvs"
		}, []string{"warning kube-proxy [node1 node2 node3 node4]"}},
		{"a node without kube-proxy", ProxyModes, func(in *Input) { network(in, 0).ProxyMode = "" }, nil},
		{"networks", CNINetwork, func(in *Input) { network(in, 0).CNI = "k8s-pod-network" }, []string{"warning CNI [node1]"}},
		{"a node without network yet", CNINetwork, func(in *Input) { network(in, 0).CNI = "" }, nil},
	}
}

func reportCases() []caseOf {
	c := NotReported
	return []caseOf{
		{"no report", c, func(in *Input) { in.Reports = in.Reports[2:] }, []string{"warning 2 nodes [node1 node2]"}},
		{"unreadable", c, func(in *Input) {
			in.Reports, in.Broken = in.Reports[1:], map[string]string{"node1": "it has 900 KiB"}
		}, []string{"warning node1 [node1]"}},
		{"no node", c, func(in *Input) { in.Nodes, in.Proxy = in.Nodes[1:], KubeProxy{} }, []string{"info node1 [node1]"}},
		{"of a former node", c, func(in *Input) { in.Nodes[0].UID = "uid-new" }, []string{"warning node1 [node1]"}},
		{"not ready", c, func(in *Input) { in.Nodes[0].Ready = false }, []string{"warning node1 [node1]"}},
		{"from before a restart", c, func(in *Input) { in.Nodes[0].Kernel = "6.2.0" }, []string{"warning node1 [node1]"}},
		{"daemon stopped", c, func(in *Input) { in.Reports[0].Status.State = status.Stopping }, []string{"warning node1 [node1]"}},
		{"just joined", c, func(in *Input) { in.Reports, in.Nodes[0].Created = in.Reports[1:], now.Add(-4*time.Minute) }, nil},
		{"Windows", c, func(in *Input) { in.Reports, in.Nodes[0].OS = in.Reports[1:], "windows" }, nil},
		{"written two days ago, and nothing has changed", c, func(in *Input) { in.Reports[0].Status.Since = old }, nil},
	}
}
