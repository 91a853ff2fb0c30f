package collect

import (
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

func readSysctls(n *host.NS, ns *facts.Namespace) (err error) {
	set := podSysctls()
	if n.IsNode() {
		set = nodeSysctls()
	}
	ns.Sysctls, err = n.Sysctls(set)
	return err
}

// nodeSysctls are the values that checks name.
func nodeSysctls() host.SysctlSet {
	return host.SysctlSet{
		Paths: []string{
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
		},
		Devices: map[string][]string{
			"net/ipv4/conf": {"accept_local", "arp_announce", "arp_ignore", "forwarding", "proxy_arp", "route_localnet", "rp_filter"},
			"net/ipv6/conf": {"accept_ra", "disable_ipv6", "forwarding", "mtu", "proxy_ndp"},
		},
	}
}

// podSysctls are the values that a pod's namespace has for itself and checks name. There are few, as they are read for each pod.
func podSysctls() host.SysctlSet {
	return host.SysctlSet{
		Paths: []string{
			"net/core/somaxconn", "net/ipv4/ip_forward", "net/ipv4/ip_local_port_range", "net/ipv4/ip_no_pmtu_disc", "net/ipv4/tcp_max_syn_backlog",
			"net/ipv4/tcp_mtu_probing", "net/ipv4/tcp_timestamps", "net/ipv4/tcp_tw_recycle", "net/ipv4/tcp_tw_reuse",
		},
		Devices: map[string][]string{
			"net/ipv6/conf": {"accept_ra", "disable_ipv6"},
		},
	}
}
