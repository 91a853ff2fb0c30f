package checks

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
)

// fromPod is a packet of a pod on cni0 that opens a connection to a pod of another node behind flannel.1.
func fromPod() packet {
	return packet{
		in: []string{"cni0"}, out: []string{"flannel.1"}, proto: "tcp", state: "NEW", markMask: kubeMark,
		src: addrRange{within: netip.MustParsePrefix("10.244.1.0/24")},
		dst: addrRange{within: netip.MustParsePrefix("10.244.0.0/16"), without: netip.MustParsePrefix("10.244.1.0/24")},
	}
}

func TestPacketMatch(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule facts.FilterRule
		want answer
	}{
		{"everything", facts.FilterRule{}, yes},
		{"something more", facts.FilterRule{Opaque: true}, maybe},
		{"its link", facts.FilterRule{InLink: "cni0"}, yes},
		{"another link", facts.FilterRule{InLink: "docker0"}, no},
		{"any but another link", facts.FilterRule{InLink: "!docker0"}, yes},
		{"links by prefix", facts.FilterRule{OutLink: "flannel+"}, yes},
		{"links by prefix as nft writes it", facts.FilterRule{OutLink: "cni*"}, no},
		{"its source", facts.FilterRule{Src: "10.244.0.0/16"}, yes},
		{"one pod", facts.FilterRule{Src: "10.244.1.5/32"}, maybe},
		{"all but one pod", facts.FilterRule{Src: "!10.244.1.5/32"}, maybe},
		{"another source", facts.FilterRule{Src: "172.17.0.0/16"}, no},
		{"a source of IPv6", facts.FilterRule{Src: "fd00::/8"}, no},
		{"another source of IPv6", facts.FilterRule{Src: "!fd00::/8"}, no},
		{"a source that is no prefix", facts.FilterRule{Src: "@pods"}, maybe},
		{"any destination", facts.FilterRule{Dst: "0.0.0.0/0"}, yes},
		{"pods of this node as destination", facts.FilterRule{Dst: "10.244.1.0/24"}, no},
		{"one pod of this node as destination", facts.FilterRule{Dst: "10.244.1.5"}, no},
		{"all pods as destination", facts.FilterRule{Dst: "10.244.0.0/16"}, yes},
		{"another node's pods as destination", facts.FilterRule{Dst: "10.244.2.0/24"}, maybe},
		{"tcp", facts.FilterRule{Proto: "tcp"}, yes},
		{"tcp by number", facts.FilterRule{Proto: "6"}, yes},
		{"not tcp", facts.FilterRule{Proto: "!tcp"}, no},
		{"icmp", facts.FilterRule{Proto: "icmp"}, no},
		{"a port", facts.FilterRule{Proto: "tcp", DPort: "80"}, maybe},
		{"kube-proxy's mark", facts.FilterRule{Mark: "0x4000/0x4000"}, no},
		{"not kube-proxy's mark", facts.FilterRule{Mark: "!0x4000/0x4000"}, yes},
		{"another mark", facts.FilterRule{Mark: "0x10000/0x10000"}, maybe},
		{"a whole mark", facts.FilterRule{Mark: "0x4000"}, no},
		{"a whole mark that may be", facts.FilterRule{Mark: "0x1"}, maybe},
		{"a mark that is no number", facts.FilterRule{Mark: "x/y"}, maybe},
		{"a new connection", facts.FilterRule{CTState: []string{"new"}}, yes},
		{"an old connection", facts.FilterRule{CTState: []string{"RELATED", "ESTABLISHED"}}, no},
		{"a Service's connection", facts.FilterRule{CTStatus: []string{"dnat"}}, no},
		{"a masqueraded connection", facts.FilterRule{CTStatus: []string{"snat"}}, maybe},
		{"two matches, the worse counts", facts.FilterRule{Src: "10.244.1.5/32", InLink: "docker0"}, no},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fromPod().match(&tt.rule, false); got != tt.want {
				t.Errorf("match(%+v) = %d; want %d", tt.rule, got, tt.want)
			}
		})
	}
	if got := (packet{}).match(&facts.FilterRule{InLink: "a", Src: "10.0.0.0/8", Proto: "tcp", Mark: "1/1", CTState: []string{"NEW"}}, false); got != maybe {
		t.Errorf("an unknown packet matches with %d; want %d", got, maybe)
	}
	if got := fromPod().match(&facts.FilterRule{Mark: "0x4000/0x4000"}, true); got != maybe {
		t.Errorf("behind a rule that marks, the mark matches with %d; want %d", got, maybe)
	}
}

func TestWalkFilter(t *testing.T) {
	accept, drop := facts.FilterRule{Verdict: "accept"}, facts.FilterRule{Verdict: "drop"}
	jump := func(to string) facts.FilterRule { return facts.FilterRule{Verdict: "jump", Target: to} }
	chain := func(name string, rules ...facts.FilterRule) facts.Chain {
		return facts.Chain{Name: name, RulesRead: true, Rules: rules}
	}
	onlyMaybe := func(r facts.FilterRule) facts.FilterRule { r.Opaque = true; return r }
	// What kube-proxy makes in FORWARD. With policy DROP alone, the kernel drops a pod's SYN to another node (seen on 6.18).
	kubeForward := chain("KUBE-FORWARD",
		facts.FilterRule{Verdict: "drop", CTState: []string{"INVALID"}},
		facts.FilterRule{Verdict: "accept", Mark: "0x4000/0x4000"},
		facts.FilterRule{Verdict: "accept", CTState: []string{"RELATED", "ESTABLISHED"}})
	for _, tt := range []struct {
		name   string
		policy string
		rules  []facts.FilterRule
		more   []facts.Chain
		want   fate
		by     string
	}{
		{"no rules", "accept", nil, nil, accepted, ""},
		{"no policy", "", nil, nil, accepted, ""},
		{"policy drop", "drop", nil, nil, dropped, "policy drop of FORWARD"},
		{"policy drop, accepted before", "drop", []facts.FilterRule{accept}, nil, accepted, ""},
		{"rejected at the end", "accept", []facts.FilterRule{{Verdict: "reject"}}, nil, dropped, "reject in FORWARD"},
		{"perhaps accepted", "drop", []facts.FilterRule{onlyMaybe(accept)}, nil, accepted | dropped, "policy drop of FORWARD"},
		{"perhaps dropped", "accept", []facts.FilterRule{onlyMaybe(drop)}, nil, accepted | dropped, "drop in FORWARD"},
		{"kube-proxy's rules do not save a pod's packet", "drop", []facts.FilterRule{jump("KUBE-FORWARD"), jump("KUBE-SERVICES")}, []facts.Chain{kubeForward}, dropped, "policy drop of FORWARD"},
		{"a rule that marks before", "drop", []facts.FilterRule{{Target: "MARK", SetMark: "or 0x4000"}, jump("KUBE-FORWARD")}, []facts.Chain{kubeForward}, accepted | dropped, "policy drop of FORWARD"},
		{"a chain that marks before", "drop", []facts.FilterRule{jump("A"), jump("KUBE-FORWARD")}, []facts.Chain{kubeForward, chain("A", facts.FilterRule{Verdict: "mark"})}, accepted | dropped, "policy drop of FORWARD"},
		{"a chain that accepts", "drop", []facts.FilterRule{jump("A")}, []facts.Chain{chain("A", accept)}, accepted, ""},
		{"a chain that returns early", "drop", []facts.FilterRule{jump("A"), accept}, []facts.Chain{chain("A", facts.FilterRule{Verdict: "return"}, drop)}, accepted, ""},
		{"a chain that may return early", "drop", []facts.FilterRule{jump("A")}, []facts.Chain{chain("A", onlyMaybe(facts.FilterRule{Verdict: "return"}), accept)}, accepted | dropped, "policy drop of FORWARD"},
		{"a goto does not come back", "drop", []facts.FilterRule{{Verdict: "goto", Target: "A"}, accept}, []facts.Chain{chain("A")}, dropped, "policy drop of FORWARD"},
		{"a goto from a called chain", "accept", []facts.FilterRule{jump("A"), drop},
			[]facts.Chain{chain("A", facts.FilterRule{Verdict: "goto", Target: "B"}, accept), chain("B")}, dropped, "drop in FORWARD"},
		{"a goto to a chain that drops", "accept", []facts.FilterRule{{Verdict: "goto", Target: "A"}}, []facts.Chain{chain("A", drop)}, dropped, "drop in A"},
		{"a chain that was not read", "drop", []facts.FilterRule{jump("A")}, []facts.Chain{{Name: "A"}}, accepted | dropped | translated, "policy drop of FORWARD"},
		{"a chain that is not there", "drop", []facts.FilterRule{jump("cali-tw-1")}, nil, accepted | dropped | translated, "policy drop of FORWARD"},
		{"a chain that leads to itself", "drop", []facts.FilterRule{jump("A")}, []facts.Chain{chain("A", jump("A"))}, accepted | dropped | translated, "policy drop of FORWARD"},
		{"a verdict from a map", "drop", []facts.FilterRule{{Opaque: true}}, nil, accepted | dropped | translated, "policy drop of FORWARD"},
		{"a counter", "drop", []facts.FilterRule{{}}, nil, dropped, "policy drop of FORWARD"},
		{"a log", "drop", []facts.FilterRule{onlyMaybe(facts.FilterRule{Target: "LOG"})}, nil, dropped, "policy drop of FORWARD"},
		{"a target nobody knows", "drop", []facts.FilterRule{{Target: "NFQUEUE"}}, nil, accepted | dropped | translated, "policy drop of FORWARD"},
		{"a verdict nobody knows", "drop", []facts.FilterRule{{Verdict: "queue"}}, nil, accepted | dropped | translated, ""},
		{"masquerading", "accept", []facts.FilterRule{{Verdict: "masquerade"}}, nil, translated, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			base := chain("FORWARD", tt.rules...)
			base.Hook, base.Policy = "forward", tt.policy
			table := &facts.Table{Backend: facts.BackendNFT, Family: "ip", Name: "filter", Chains: append(tt.more, base)}
			got, by := walkFilter(table, &base, fromPod())
			if got != tt.want || by != tt.by {
				t.Errorf("walkFilter() = %05b, %q; want %05b, %q", got, by, tt.want, tt.by)
			}
		})
	}
	if got, _ := walkFilter(&facts.Table{}, &facts.Chain{Policy: "drop"}, fromPod()); got&accepted == 0 {
		t.Errorf("a base chain that was not read gives %05b; want anything", got)
	}
}

func TestHookChains(t *testing.T) {
	forward := []facts.Chain{{Name: "FORWARD", Hook: "forward"}, {Name: "INPUT", Hook: "input"}, {Name: "A"}}
	ns := &facts.Namespace{Tables: []facts.Table{
		{Backend: facts.BackendLegacy, Family: "ip", Name: "filter", Chains: forward},
		{Backend: facts.BackendNFT, Family: "ip6", Name: "filter", Chains: forward},
		{Backend: facts.BackendNFT, Family: "inet", Name: "firewalld", Chains: forward},
		{Backend: facts.BackendNFT, Family: "bridge", Name: "filter", Chains: forward},
	}}
	for _, tt := range []struct {
		name string
		v6   bool
		want []string
	}{
		{"IPv4", false, []string{"iptables-legacy filter FORWARD", "nft inet firewalld FORWARD"}},
		{"IPv6", true, []string{"ip6tables-nft filter FORWARD", "nft inet firewalld FORWARD"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := hookChains(ns, "forward", tt.v6)
			if len(got) != len(tt.want) {
				t.Fatalf("hookChains() = %v; want %q", got, tt.want)
			}
			for i := range got {
				if got[i].name() != tt.want[i] {
					t.Errorf("chain %d is %q; want %q", i, got[i].name(), tt.want[i])
				}
			}
		})
	}
}

func FuzzPacketMatch(f *testing.F) {
	f.Add("cni0", "!10.244.0.0/16", "tcp", "0x4000/0x4000", "NEW")
	f.Add("!", "!fd00::/300", "!", "!/", "")
	f.Add("+", "::ffff:10.0.0.1/104", "6", "99999999999/1", "!NEW")
	f.Fuzz(func(t *testing.T, link, prefix, proto, mark, state string) {
		r := facts.FilterRule{InLink: link, OutLink: link, Src: prefix, Dst: prefix, Proto: proto, Mark: mark, CTState: []string{state}, CTStatus: []string{state}}
		for _, p := range []packet{fromPod(), {}, {v6: true}} {
			if got := p.match(&r, false); got < no || got > yes {
				t.Errorf("match(%+v) = %d", r, got)
			}
		}
	})
}
