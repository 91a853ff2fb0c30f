package host

import (
	"bytes"
	"strings"
)

// bulkPrefixes start the names of chains of which there is one for each Service, endpoint or pod: kube-proxy's (pkg/proxy/iptables), kube-router's,
// Calico's (felix/rules/rule_defs.go). The longer of two that overlap comes first.
var bulkPrefixes = [...]string{
	"KUBE-SVC-", "KUBE-SEP-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-XLB-", "KUBE-NWPLCY-", "KUBE-POD-FW-",
	"cali-tw-", "cali-fw-", "cali-sm-", "cali-pri-", "cali-pro-", "cali-pi-", "cali-po-", "cali-gi-", "cali-go-", "CNI-DN-", "CNI-SN-",
}

// slashPrefixes start such names where a slash follows, which kube-proxy's own chains and sets in its nftables table never have (pkg/proxy/nftables).
var slashPrefixes = [...]string{"service-", "endpoint-", "external-", "local-", "firewall-", "affinity-"}

// bulkPrefix gives the prefix under which a chain or set is only counted; empty where it is kept.
func bulkPrefix(name []byte) string {
	if bytes.IndexByte(name, '/') >= 0 {
		for _, p := range slashPrefixes {
			if bytes.HasPrefix(name, []byte(p)) {
				return p
			}
		}
	}
	// Calico in nftables mode keeps all tables in one and puts their names in front.
	for _, table := range [...]string{"filter-", "nat-", "mangle-", "raw-"} {
		if rest, ok := bytes.CutPrefix(name, []byte(table)); ok && bytes.HasPrefix(rest, []byte("cali-")) {
			name = rest
			break
		}
	}
	for _, p := range bulkPrefixes {
		if bytes.HasPrefix(name, []byte(p)) {
			return p
		}
	}
	if cniChain(name) {
		return "CNI-"
	}
	return ""
}

// cniChain says whether a name is that of the masquerading chain which the CNI plugins make for each pod: CNI- and 24 hexadecimal digits
// (plugins/pkg/utils.FormatChainName).
func cniChain(name []byte) bool {
	digits, ok := bytes.CutPrefix(name, []byte("CNI-"))
	return ok && len(digits) == 24 && len(bytes.Trim(digits, "0123456789abcdef")) == 0
}

// ruleChain says whether the rules of a chain matter wherever it is jumped from.
func ruleChain(name string) bool {
	switch name {
	case "KUBE-POSTROUTING", "KUBE-FORWARD", "KUBE-FIREWALL", "DOCKER-USER", "CNI-FORWARD", "masquerading", "postrouting":
		return true
	}
	return strings.HasPrefix(name, "FLANNEL-") || strings.HasPrefix(name, "NETMEND-")
}
