package redact

import (
	"net/netip"
	"regexp"
	"strings"
)

var (
	addressLike = regexp.MustCompile(`[0-9A-Fa-f:.]*[0-9A-Fa-f:](?:%[\w.@-]+)?(?:/[0-9]{1,3})?`)
	macLike     = regexp.MustCompile(`^[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5,}$`)
	hashLike    = regexp.MustCompile(`^[0-9a-f][0-9a-f-]{10,}[0-9a-f]$`)
	token       = regexp.MustCompile(`[^\s"'(),;=<>\[\]{}|]+`)
	quoted      = regexp.MustCompile(`"[^"]*"`)
)

// addressesIn replaces the addresses within a text, with or without a prefix length, a port or a zone.
func (r *redactor) addressesIn(text string) string {
	if !strings.ContainsAny(text, ".:") {
		return text
	}
	return addressLike.ReplaceAllStringFunc(text, func(s string) string {
		if p, err := netip.ParsePrefix(s); err == nil {
			r.prefix(&p)
			return p.String()
		}
		head, length, cut := strings.Cut(s, "/") // of something that is no prefix, such as a port's protocol
		if cut {
			length = "/" + length
		}
		if a, err := netip.ParseAddr(head); err == nil {
			r.addr(&a)
			return a.String() + length
		}
		if p, err := netip.ParseAddrPort(head); err == nil {
			r.addrPort(&p)
			return p.String() + length
		}
		if macLike.MatchString(head) {
			r.mac(&head)
			return head + length
		}
		if end := strings.TrimRight(head, ":."); end != head && end != "" { // the end of a clause
			return r.addressesIn(end) + head[len(end):] + length
		}
		return s
	})
}

func (r *redactor) text(s *string) { *s = r.textOf(*s) }

// textOf replaces in free text what is replaced elsewhere: names that were met before, addresses, paths, ids, and whatever is quoted.
func (r *redactor) textOf(text string) string {
	var b strings.Builder
	end := 0
	for _, at := range quoted.FindAllStringIndex(text, -1) {
		inner := text[at[0]+1 : at[1]-1]
		replaced := r.tokens(inner)
		if replaced == inner {
			r.word(&replaced)
		}
		b.WriteString(r.tokens(text[end:at[0]]) + `"` + replaced + `"`)
		end = at[1]
	}
	return b.String() + r.tokens(text[end:])
}

func (r *redactor) tokens(text string) string {
	return token.ReplaceAllStringFunc(text, func(t string) string {
		word := strings.TrimRight(t, ".:!?")
		end := t[len(word):]
		if drawn, ok := r.names[word]; ok {
			return drawn + end
		}
		switch {
		case strings.HasPrefix(word, "/"):
			r.path(&word)
		case hashLike.MatchString(word):
			word = r.id(word)
		default:
			return r.addressesIn(t)
		}
		return word + end
	})
}

// knownStep is a step of a path that software brings along.
var knownStep = regexp.MustCompile(`^(?:proc|sys|etc|var|run|usr|lib|opt|bin|sbin|local|share|tmp|host|task|fd|ns|net|netns|cni|net\.d|networks|results|docker|containerd|crio|kubelet|kubernetes|flannel|calico|cilium|` +
	`subnet\.env|sysctl\.d|sysctl\.conf|modules-load\.d|tuned|tuned\.conf|ip_tables_names|ip6_tables_names|netstat|snmp|snmp6|softnet_stat|sockstat|nf_conntrack|ip_vs|udp|udp6|tcp|tcp6|arp_cache|ndisc_cache|stat|self|thread-self|` +
	`default|kube-proxy|networkmanager|network-scripts|systemd|nodes?|[0-9]+|lock|last_reserved_ip\.[0-9]+|ipv[46]|conf|neigh|bridge)$`)

// knownStem is the middle of a file name that software brings along, between a number in front and the extension.
var knownStem = regexp.MustCompile(`^(?:flannel|calico|cilium|cilium-cni|weave|kube-router|antrea|multus|kindnet|bridge|loopback|crio-bridge|containerd-net|podman-bridge|podman|cni|aws|azure|terway|netmend|k3s|rke2|` +
	`sysctl|default|kubernetes|kubernetes-cri|k8s|kubelet|calico-kubeconfig|protect-links|network-security|zeropage|pid-max|coredump|gce|cloudimg-settings|iperf|override_cilium|zzz-override_cilium)$`)

var fileName = regexp.MustCompile(`^([0-9]{1,3}-)?(.*?)(\.(?:conf|conflist|json|env|lock|sock|yaml|toml|cilium_bak|bak))?$`)

// path replaces the steps of a path, or a file's name, that are not well-known ones.
func (r *redactor) path(s *string) {
	if *s == "" {
		return
	}
	steps := strings.Split(*s, "/")
	for i, step := range steps {
		steps[i] = r.step(step)
	}
	drawn := strings.Join(steps, "/")
	r.note(*s, drawn)
	*s = drawn
}

func (r *redactor) step(step string) string {
	if step == "" || step == "." || step == ".." || knownStep.MatchString(step) || wellKnown(step) {
		return step
	}
	if _, err := netip.ParseAddr(step); err == nil {
		return r.addressesIn(step)
	}
	m := fileName.FindStringSubmatch(step)
	if knownStem.MatchString(m[2]) {
		return step
	}
	if rest, ok := strings.CutPrefix(m[2], "cni-"); ok { // what containerd calls the namespaces of pods
		r.word(&rest)
		return m[1] + "cni-" + rest + m[3]
	}
	r.word(&m[2])
	return m[1] + m[2] + m[3]
}
