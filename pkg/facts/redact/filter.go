package redact

import (
	"regexp"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// ownChain matches what every node with kube-proxy has: in iptables its chains for default/kubernetes:https and kube-system/kube-dns (the hashes that
// pkg/proxy/iptables gives them), in nftables its maps and fixed chains whose names look like those for one Service.
var ownChain = regexp.MustCompile(`^(?:KUBE-(?:SVC|SVL|EXT|FW)-(?:NPX46M4PTMTKRN6Y|TCOU7JCQXEZGVUNU|ERIFXISQEP7F7OF4|JD5MR3NA4I4DYORP)|` +
	`service-(?:ips|nodeports|endpoints-check)|firewall-(?:ips|check)|services|no-endpoint-(?:services|nodeports)|cluster-ips(?:-check)?|nodeport-(?:ips|endpoints-check)|` +
	`masquerading|mark-for-masquerade|reject-chain|hairpin-connections)$`)

// drawnChain matches the chains that are made for one Service, endpoint, pod or policy: their names hold a hash or a name behind the first group.
var drawnChain = regexp.MustCompile(`^(KUBE-(?:SVC|SEP|SVL|EXT|FW|XLB|NWPLCY|POD-FW)-|cali-(?:tw|fw|thw|fhw|sm|pri|pro|pi|po|gi|go)-|CNI-(?:DN-|SN-)?|` +
	`service-|endpoint-|external-|firewall-)(.+)$`)

// softwareChain matches the starts of names that software brings along.
var softwareChain = regexp.MustCompile(`^(?:KUBE-|cali-|calico|(?:OLD_)?CILIUM_|WEAVE|FLANNEL-|flannel-ipv|ANTREA-|DOCKER|NETMEND-|netmend|CNI-|cni_|LIBVIRT_|libvirt_|ufw6?-|f2b-|ISTIO_|istio|firewalld|podman|kube-)`)

// plainChain matches the names of tables, base chains and xtables targets that everybody uses.
var plainChain = regexp.MustCompile(`^(?:(?:filter|nat|mangle|raw|security)(?:[-_](?:(?i:prerouting|input|forward|output|postrouting)|output-post-dnat))?|(?i:prerouting|input|forward|output|postrouting|ingress|egress)|` +
	`ACCEPT|DROP|REJECT|RETURN|QUEUE|LOG|NFLOG|MARK|CONNMARK|CT|NOTRACK|TRACE|TCPMSS|MASQUERADE|SNAT|DNAT|REDIRECT|NETMAP|TPROXY|SET|CHECKSUM|CLASSIFY|DSCP|TOS|TTL|HL|TEE|NFQUEUE|AUDIT|SYNPROXY)$`)

func (r *redactor) chain(s *string) {
	m := drawnChain.FindStringSubmatch(*s)
	switch {
	case *s == "" || ownChain.MatchString(*s) || plainChain.MatchString(*s):
	case m != nil && strings.HasPrefix(m[1], "CNI-") && strings.Trim(m[2], "0123456789abcdef") != "": // CNI-FORWARD and the like; the others end in a hash
	case m != nil:
		rest := m[2]
		if strings.HasPrefix(rest, "cali") {
			r.link(&rest) // cali-tw- and cali-fw- go before the link
		} else {
			r.word(&rest)
		}
		r.note(*s, m[1]+rest)
		*s = m[1] + rest
	case softwareChain.MatchString(*s):
	default:
		r.word(s)
	}
}

func (r *redactor) table(t *facts.Table) {
	r.chain(&t.Name)
	for i := range t.Chains {
		c := &t.Chains[i]
		r.chain(&c.Name)
		for j := range c.Rules {
			r.rule(&c.Rules[j])
		}
	}
	for i := range t.Maps {
		r.chain(&t.Maps[i])
	}
	if t.Bulk == nil {
		return
	}
	bulk := make(map[string]int, len(t.Bulk))
	for start, n := range t.Bulk {
		r.chain(&start)
		bulk[start] += n
	}
	t.Bulk = bulk
}

func (r *redactor) rule(f *facts.FilterRule) {
	r.chain(&f.Target)
	r.link(&f.InLink)
	r.link(&f.OutLink)
	f.Src = r.addressesIn(f.Src)
	f.Dst = r.addressesIn(f.Dst)
	if !knownComment.MatchString(f.Comment) {
		r.word(&f.Comment)
	}
}

// knownComment matches comments that name nothing of the cluster.
var knownComment = regexp.MustCompile(`^(?:kubernetes [a-z -]+|flanneld [a-z]+|block incoming localnet connections|CNI portfwd [a-z ]+|cali:[A-Za-z0-9_-]{16})?$`)
