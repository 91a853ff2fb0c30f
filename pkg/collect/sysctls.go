package collect

import (
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readSysctls reads the values that checks name. Those of the node's devices are found by their directories and not by the links, so that a tree made
// by hand shows its own; of a pod they come from the links, which a hundred pods have read by now.
func readSysctls(n *host.NS, ns *facts.Namespace) (err error) {
	var paths []string
	if n.IsNode() {
		paths, err = nodePaths(n, ns)
	} else {
		paths = podPaths(ns)
	}
	if err != nil {
		return err
	}
	ns.Sysctls, err = n.Sysctls(paths)
	return err
}

// nodePaths are the values read on the node. Of the node's ends of pods' links, which are many, only those are read that a pod's packets meet.
func nodePaths(n *host.NS, ns *facts.Namespace) ([]string, error) {
	paths := nodeSysctls()
	brief := podEnds(ns)
	for _, d := range deviceSysctls() {
		devices, err := n.SysctlDevices(d.dir)
		if err != nil {
			return nil, err
		}
		for _, device := range devices {
			values := d.values
			if brief[device] {
				values = d.brief
			}
			for _, value := range values {
				paths = append(paths, d.dir+"/"+device+"/"+value)
			}
		}
	}
	return paths, nil
}

// deviceSysctls are the values that every device has.
func deviceSysctls() []struct {
	dir           string
	values, brief []string
} {
	return []struct {
		dir           string
		values, brief []string
	}{
		{
			"net/ipv4/conf",
			[]string{"accept_local", "arp_announce", "arp_ignore", "forwarding", "proxy_arp", "route_localnet", "rp_filter", "src_valid_mark"},
			[]string{"forwarding", "proxy_arp", "rp_filter"},
		},
		{
			"net/ipv6/conf",
			[]string{"accept_ra", "disable_ipv6", "force_forwarding", "forwarding", "mtu", "proxy_ndp"},
			[]string{"disable_ipv6", "forwarding"},
		},
	}
}

// podPaths are the values that a pod's namespace has for itself. There are few, as they are read for each pod.
func podPaths(ns *facts.Namespace) []string {
	paths := []string{
		"net/core/somaxconn", "net/ipv4/ip_local_port_range", "net/ipv4/ip_no_pmtu_disc", "net/ipv4/tcp_mtu_probing", "net/ipv4/tcp_timestamps",
		"net/ipv4/tcp_tw_recycle", "net/ipv6/conf/all/disable_ipv6",
	}
	for _, l := range ns.Links {
		if l.Up && !l.Loopback { // once a tunnel module is loaded, every namespace has its device, which is down
			paths = append(paths, "net/ipv6/conf/"+l.Name+"/accept_ra", "net/ipv6/conf/"+l.Name+"/disable_ipv6")
		}
	}
	return paths
}

// nodeSysctls are the values that the node has once.
func nodeSysctls() []string {
	return []string{
		"net/core/netdev_budget", "net/core/netdev_budget_usecs", "net/core/netdev_max_backlog", "net/core/rmem_default", "net/core/rmem_max",
		"net/core/somaxconn", "net/core/wmem_max",

		"net/ipv4/fib_multipath_hash_policy", "net/ipv4/ip_forward", "net/ipv4/ip_local_port_range", "net/ipv4/ip_local_reserved_ports",
		"net/ipv4/ip_no_pmtu_disc", "net/ipv4/ip_nonlocal_bind", "net/ipv4/neigh/default/gc_thresh1", "net/ipv4/neigh/default/gc_thresh2",
		"net/ipv4/neigh/default/gc_thresh3", "net/ipv4/tcp_abort_on_overflow", "net/ipv4/tcp_base_mss", "net/ipv4/tcp_fin_timeout",
		"net/ipv4/tcp_max_syn_backlog", "net/ipv4/tcp_max_tw_buckets", "net/ipv4/tcp_mtu_probing", "net/ipv4/tcp_syncookies",
		"net/ipv4/tcp_timestamps", "net/ipv4/tcp_tw_recycle", "net/ipv4/tcp_tw_reuse", "net/ipv4/udp_mem",

		"net/ipv4/vs/conn_reuse_mode", "net/ipv4/vs/conntrack", "net/ipv4/vs/expire_nodest_conn", "net/ipv4/vs/expire_quiescent_template",

		"net/ipv6/bindv6only", "net/ipv6/ip_nonlocal_bind", "net/ipv6/neigh/default/gc_thresh1", "net/ipv6/neigh/default/gc_thresh2",
		"net/ipv6/neigh/default/gc_thresh3",

		"net/bridge/bridge-nf-call-arptables", "net/bridge/bridge-nf-call-ip6tables", "net/bridge/bridge-nf-call-iptables",

		"net/netfilter/nf_conntrack_buckets", "net/netfilter/nf_conntrack_checksum", "net/netfilter/nf_conntrack_count",
		"net/netfilter/nf_conntrack_max", "net/netfilter/nf_conntrack_tcp_be_liberal", "net/netfilter/nf_conntrack_tcp_loose",
		"net/netfilter/nf_conntrack_tcp_timeout_close_wait", "net/netfilter/nf_conntrack_tcp_timeout_established",
		"net/netfilter/nf_conntrack_udp_timeout", "net/netfilter/nf_conntrack_udp_timeout_stream",
	}
}
