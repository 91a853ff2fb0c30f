package report

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

const hostInode = 4026531840

// flannelNode is a node with a bridge, a vxlan tunnel and that many pods.
func flannelNode(pods int) *facts.Snapshot {
	off := false
	s := &facts.Snapshot{
		Schema: facts.Schema, Taken: time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC), Window: &facts.Window{Seconds: 10},
		Node:  facts.Node{Name: "node1", Kernel: "6.1.0-18-amd64", Distribution: "Debian GNU/Linux 12 (bookworm)", Privileged: true, Kubelet: true},
		Kinds: append(facts.NamespaceKinds(), facts.NodeKinds()...),
		Proxy: &facts.Proxy{Mode: facts.ModeIPTables},
		CNI:   &facts.CNI{Dir: "/etc/cni/net.d", BinDir: "/opt/cni/bin", Files: []facts.CNIFile{{Name: "10-flannel.conflist", Network: "cbr0", Plugins: []facts.CNIPlugin{{Type: "flannel"}, {Type: "portmap"}}}}},
		Host: facts.Namespace{Inode: hostInode, Links: []facts.Link{
			{Index: 1, Name: "lo", MTU: 65536, Up: true, Running: true, Loopback: true},
			{Index: 2, Name: "eth0", MTU: 1500, Up: true, Running: true, MAC: "52:54:00:12:34:56"},
			{Index: 3, Name: "docker0", Kind: "bridge", MTU: 1500, MAC: "02:42:ac:11:00:02"},
			{Index: 4, Name: "flannel.1", Kind: "vxlan", MTU: 1450, Up: true, Running: true, Parent: 2,
				Tunnel: &facts.Tunnel{Local: netip.MustParseAddr("192.168.7.11"), ID: 1, Port: 8472, UDPCsum: &off}},
			{Index: 5, Name: "cni0", Kind: "bridge", MTU: 1450, Up: true, Running: true},
		}, Addresses: []facts.Address{
			{Link: 1, Prefix: netip.MustParsePrefix("127.0.0.1/8"), Permanent: true},
			{Link: 2, Prefix: netip.MustParsePrefix("192.168.7.11/24"), Permanent: true},
			{Link: 4, Prefix: netip.MustParsePrefix("10.244.1.0/32"), Permanent: true},
			{Link: 5, Prefix: netip.MustParsePrefix("10.244.1.1/24"), Permanent: true},
		}, Sysctls: map[string]string{"net/ipv4/ip_forward": "1"}, Conntrack: &facts.Conntrack{Count: 1200, Max: 131072}},
	}
	names := []string{"coredns", "nginx", "java", "postgres", "redis-server", "node", "python3", "envoy"}
	for i := range pods {
		id := i
		s.Host.Links = append(s.Host.Links, facts.Link{Index: 10 + i, Name: fmt.Sprintf("veth%08x", 0x1b2c3d00+i*977), Kind: "veth", MTU: 1450, Up: true, Running: true, Master: 5, Parent: 2, PeerNSID: &id})
		s.Pods = append(s.Pods, facts.Namespace{Inode: 4026532000 + uint64(i), NSID: &id, Path: fmt.Sprintf("/run/netns/cni-%08x", 0x5f00aa+i*7919), PID: 4000 + i, Comm: names[i%len(names)],
			Links:     []facts.Link{{Index: 1, Name: "lo", MTU: 65536, Up: true, Loopback: true}, {Index: 2, Name: "eth0", Kind: "veth", MTU: 1450, Up: true, Parent: 10 + i}},
			Addresses: []facts.Address{{Link: 2, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, 1, byte(2 + i)}), 24), Permanent: true}}})
	}
	return s
}

// findingsOf makes a report such as the checks give: a tunnel, the node's routing, some pods.
func findingsOf(s *facts.Snapshot, faultyPods int) *check.Report {
	tunnel := facts.Ref{NetNS: hostInode, Index: 4, Name: "flannel.1"}
	r := &check.Report{
		Findings: []check.Finding{{
			Check: "tunnel-tx-checksum", Severity: check.Critical, On: tunnel,
			Message: "packets of flannel.1 leave with a wrong outer checksum whenever their outer header is translated, and 3 of them were: connections to other nodes start a second late",
			Evidence: []check.Evidence{
				{Fact: "flannel.1 tx-checksum-ip-generic", Got: "on", Want: "off"},
				{Fact: "translated outer flows", Got: "192.168.7.11:41234 to 192.168.7.12:8472 leaves from 192.168.7.15"},
				{Fact: "Udp InCsumErrors", Got: "+6 in 10s", Want: "+0"},
			},
			Fixes: []fix.Fix{
				{Title: "switch the tunnel's checksum offload off", Cost: "more processor time for each packet, and less throughput on fast links",
					Changes: []fix.Change{{Knob: fix.Ethtool(facts.FeatureTxChecksum), On: tunnel, From: "on", To: "off"}}},
				{Title: "keep the tunnel's packets out of NAT", Cost: "a rule ahead of kube-proxy's", Advice: []string{"iptables -t nat -I POSTROUTING -p udp --dport 8472 -j ACCEPT"}},
			},
		}},
		Passed: []string{"bridge-mtu", "conntrack-full", "ipv6-dadfailed", "tunnel-mtu-over-uplink"},
		Skipped: []check.Skip{
			{Check: "tcp-tw-recycle", Reason: "not applicable: this kernel has no tcp_tw_recycle (removed in 4.12)"},
			{Check: "paws-listen-drops", Reason: "not applicable: this kernel has no tcp_tw_recycle (removed in 4.12)"},
			{Check: "ipam-capacity", Reason: "could not read ipam: open /var/lib/cni/networks: permission denied"},
			{Check: "listen-overflow", Partial: true, Reason: "no window: judged without counter evidence (--window 60s)"},
		},
	}
	for i := range min(faultyPods, len(s.Pods)) {
		p := &s.Pods[i*3%len(s.Pods)]
		on := facts.Ref{NetNS: p.Inode, Index: 2, Name: "eth0"}
		r.Findings = append(r.Findings, check.Finding{Check: "pod-mtu-mismatch", Severity: check.Warning, On: on,
			Message:  "MTU 1500 is more than the 1450 that flannel.1 carries: large packets to other nodes are lost",
			Evidence: []check.Evidence{{Fact: "eth0 mtu", Got: "1500", Want: "1450 or less"}},
			Fixes:    []fix.Fix{{Title: "lower the MTU of the pod's link", Cost: "open connections keep their segment size", Changes: []fix.Change{{Knob: fix.LinkMTU, On: on, From: "1500", To: "1450"}}}}})
	}
	r.Findings = append(r.Findings, check.Finding{Check: "forward-blocked", Severity: check.Info, On: facts.Ref{NetNS: hostInode, Name: "FORWARD"},
		Message: "the policy of chain FORWARD is drop, and flannel's accept rules carry the pods", Evidence: []check.Evidence{{Fact: "ip filter FORWARD policy", Got: "drop"}}})
	if len(s.Pods) > 1 {
		on := facts.Ref{NetNS: s.Pods[1].Inode, Name: s.Pods[1].Path}
		r.Skipped = append(r.Skipped, check.Skip{Check: "listen-overflow", On: &on, Reason: "could not read sockets: interrupted"})
	}
	return r
}

// ownChecks are the checks of which findingsOf gives findings.
func ownChecks() []*check.Check {
	run := func(*facts.Snapshot) []check.Finding { return nil }
	return []*check.Check{
		{Name: "forward-blocked", Title: "Forwarded packets are dropped", Doc: "What it is.\n", Since: "v0.1.0", Needs: []facts.Kind{facts.KindNFTables}, Severity: check.Critical, Run: run},
		{Name: "pod-mtu-mismatch", Title: "A pod's MTU does not fit its way out", Doc: "A pod's link may be **larger** than the way.\n\n- one\n- two `code`\n\n    ip link set dev eth0 mtu 1450\n", Since: "v0.1.0", Needs: []facts.Kind{facts.KindPodLinks}, Severity: check.Critical, Run: run},
		{Name: "tunnel-tx-checksum", Title: "The tunnel sends wrong outer checksums", Doc: "With `tx-checksum-ip-generic` **on** the outer checksum is left to hardware.\nNAT then breaks it; see https://github.com/kubernetes/kubernetes/pull/92035.\n\n**Fix.** Switch it off:\n\n```\nethtool -K flannel.1 tx-checksum-ip-generic off\n```\n", Since: "v0.1.0",
			Needs: []facts.Kind{facts.KindTunnels}, Wants: []facts.Kind{facts.KindCounters}, Severity: check.Critical, Run: run},
	}
}

func documentOf(s *facts.Snapshot, r *check.Report) *Document {
	return New(Input{Snapshot: s, Report: r, Checks: ownChecks(), Version: "v0.1.0",
		Unasked: func(f check.Finding, i int) bool { return f.Check == "tunnel-tx-checksum" && i == 0 }})
}
