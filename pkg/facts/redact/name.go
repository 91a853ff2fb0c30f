package redact

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// tail says what becomes of the letters behind a well-known start of a link's name.
type tail int

const (
	tailDrawn  tail = iota // they are replaced
	tailDigits             // digits and dots stay
	tailSlots              // so do the letters of a PCI path, as in enp94s0f0np0
	tailKept               // all stay
)

// linkStart is how the names of a well-known kind of link start.
type linkStart struct {
	start string
	tail  tail
}

// linkStarts are the names that the kernel, systemd, container runtimes and CNI plugins give.
var linkStarts = []linkStart{
	{"lo", tailDigits}, {"eth", tailDigits}, {"ens", tailDigits}, {"eno", tailDigits}, {"enp", tailSlots}, {"enP", tailSlots}, {"enx", tailDrawn}, {"wlan", tailDigits},
	{"wlp", tailSlots}, {"ib", tailDigits}, {"bond", tailDigits}, {"team", tailDigits}, {"vlan", tailDigits}, {"br", tailDigits}, {"br-", tailDrawn}, {"br-int", tailKept},
	{"dummy", tailDigits}, {"ifb", tailDigits}, {"tun", tailDigits}, {"tap", tailDigits}, {"wg", tailDigits}, {"net", tailDigits},
	{"sit", tailDigits}, {"gre", tailDigits}, {"gretap", tailDigits}, {"erspan", tailDigits}, {"ip_vti", tailDigits}, {"ip6_vti", tailDigits}, {"ip6tnl", tailDigits}, {"ip6gre", tailDigits},
	{"tunl", tailDigits}, {"vxlan", tailDigits}, {"vxlan-6784", tailKept}, {"vxlan_sys_", tailKept}, {"genev_sys_", tailKept}, {"vxlan.calico", tailKept}, {"vxlan-v6.calico", tailKept},
	{"wireguard.cali", tailKept}, {"wg-v6.cali", tailKept}, {"bpfin.cali", tailKept}, {"bpfout.cali", tailKept}, {"cali", tailDrawn}, {"flannel", tailKept}, {"cilium_", tailKept}, {"lxc", tailDrawn}, {"lxc_health", tailKept},
	{"lxcbr", tailDigits}, {"kube-ipvs0", tailKept}, {"kube-bridge", tailKept}, {"kube-dummy-if", tailKept}, {"nodelocaldns", tailKept}, {"weave", tailKept}, {"datapath", tailKept},
	{"vethwe-", tailKept}, {"vethwepl", tailDrawn}, {"veth", tailDrawn}, {"eni", tailDrawn}, {"azv", tailDrawn}, {"docker", tailDigits}, {"docker_gwbridge", tailKept}, {"cni", tailDigits}, {"cni-podman", tailDigits},
	{"podman", tailDigits}, {"cbr", tailDigits}, {"virbr", tailDigits}, {"antrea-", tailKept}, {"ovn-k8s-mp", tailDigits}, {"ovs-system", tailKept}, {"all", tailKept}, {"default", tailKept},
}

// stays says whether a letter stays where the name so far is the given one: it goes on with a well-known start, or follows one.
func stays(soFar string, letter rune) bool {
	best := linkStart{}
	for _, s := range linkStarts {
		if rest, ok := strings.CutPrefix(s.start, soFar); ok && strings.HasPrefix(rest, string(letter)) {
			return true
		}
		if strings.HasPrefix(soFar, s.start) && len(s.start) > len(best.start) {
			best = s
		}
	}
	digit := letter >= '0' && letter <= '9' || letter == '.'
	switch best.tail {
	case tailDigits:
		return digit
	case tailSlots:
		return digit || strings.ContainsRune("sfnpduvPc", letter)
	case tailKept:
		return true
	}
	return false
}

// link replaces the name of a link, or a pattern of names, or a label that starts with one.
func (r *redactor) link(s *string) {
	name, negated := strings.CutPrefix(*s, "!")
	drawn := r.letters("link", name, stays)
	r.note(name, drawn)
	if negated {
		drawn = "!" + drawn
	}
	*s = drawn
}

// word replaces any other name: of a network, plugin, program, Service.
func (r *redactor) word(s *string) {
	if *s == "" || wellKnown(*s) {
		return
	}
	drawn := r.letters("word", *s, func(string, rune) bool { return false })
	r.note(*s, drawn)
	*s = drawn
}

func (r *redactor) note(name, drawn string) {
	if name != drawn {
		r.names[name] = drawn
	}
}

// classes are the letters that are exchanged for each other. Others stay, but for those beyond ASCII.
// A to f are apart, so that a hash stays one.
var classes = []string{"abcdef", "ghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"}

// longName is the length from which a name, which nothing on a node has, is replaced as a whole: letter by letter costs the square of it.
const longName = 255

// letters replaces each letter of a name by another of its class, which one being drawn from the letters before it: names with a common start keep one of
// the same length. Letters that stay are not drawn for others, so different names stay different.
func (r *redactor) letters(kind, name string, stays func(soFar string, letter rune) bool) string {
	var b strings.Builder
	for i, c := range name {
		if i >= longName {
			return b.String() + hex.EncodeToString(r.draw(kind, name)[:8])
		}
		if stays(name[:i], c) {
			b.WriteRune(c)
			continue
		}
		if c >= utf8.RuneSelf { // another one of the same 64, which end in the same UTF-8 byte
			b.WriteRune(c&^63 | (c+1+rune(r.draw(kind, name[:i])[0])%63)&63)
			continue
		}
		at := slices.IndexFunc(classes, func(class string) bool { return strings.ContainsRune(class, c) })
		if at < 0 {
			b.WriteRune(c)
			continue
		}
		var others []rune
		self := 0
		for _, o := range classes[at] {
			if o == c {
				self = len(others)
			}
			if o == c || !stays(name[:i], o) {
				others = append(others, o)
			}
		}
		shift := 0
		if len(others) > 1 {
			shift = 1 + int(r.draw(kind, name[:i], classes[at][:1])[0])%(len(others)-1)
		}
		b.WriteRune(others[(self+shift)%len(others)])
	}
	return b.String()
}

// wellKnown says whether a name is one that software brings along, and not one that an operator chose.
func wellKnown(name string) bool {
	switch name {
	// CNI plugins, IPAM plugins, networks and capabilities
	case "bridge", "flannel", "calico", "calico-ipam", "cilium-cni", "portmap", "bandwidth", "tuning", "host-local", "dhcp", "static", "loopback", "ptp", "macvlan", "ipvlan",
		"vlan", "host-device", "firewall", "sbr", "vrf", "weave-net", "kube-router", "multus", "whereabouts", "spiderpool", "netmend", "antrea", "istio-cni", "linkerd-cni",
		"cbr0", "k8s-pod-network", "cni0", "cilium", "podman", "weave", "kindnet", "aws-cni", "azure-vnet", "terway", "portMappings", "ipRanges", "dns", "mac", "ips", "aliases":
		return true
	// programs
	case "kubelet", "kube-proxy", "kube-apiserver", "kube-controller", "kube-scheduler", "etcd", "flanneld", "calico-node", "calico-felix", "cilium-agent", "weaver", "antrea-agent",
		"ovnkube", "containerd", "containerd-shim", "dockerd", "crio", "conmon", "k3s", "k3s-server", "k3s-agent", "rke2", "pause", "coredns", "systemd", "bash", "sh", "sleep",
		"nginx", "envoy", "redis-server", "postgres", "mysqld", "java", "node", "python3", "haproxy", "bird", "pilot-agent", "metrics-server", "node_exporter", "prometheus", "netmendd", "kubelite", "firewalld", "tuned", "NetworkManager", "systemd-network", "systemd-resolve", "dhclient", "dhcpcd", "sshd", "dnsmasq":
		return true
	// Services
	case "default/kubernetes", "kube-system/kube-dns", "kube-system/kube-proxy", "system-node-critical", "system-cluster-critical", "default/kubernetes:https", "kube-system/kube-dns:dns", "kube-system/kube-dns:dns-tcp", "kube-system/kube-dns:metrics":
		return true
	}
	return false
}
