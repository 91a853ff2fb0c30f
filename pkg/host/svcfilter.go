package host

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// svcRefusal is a rule or an element for a frontend without endpoints.
type svcRefusal struct {
	svcEntry
	verdict string
	sources []netip.Prefix
	link    string   // what carries it
	missing []string // links on the way there that are not
}

// refusal names a verdict for connections without a backend; empty for others.
func refusal(v svcVerdict) string {
	switch v {
	case svcReject:
		return facts.VerdictReject
	case svcDrop:
		return facts.VerdictDrop
	}
	return ""
}

// filter reads what becomes of connections that no chain of table nat has translated.
func (x *svcIPTables) filter() error {
	var list []svcRefusal
	for _, chain := range [...]string{services.ChainServices, services.ChainExternalServices} {
		err := x.src.rules("filter", chain, func(r *svcRule) error {
			kind := facts.FrontCluster
			front, ok := r.front()
			if chain == services.ChainExternalServices {
				kind = facts.FrontExternal
				if port, is := r.nodePort(); is && r.has == matchDstLocal {
					front, ok, kind = port, true, facts.FrontNodePort
				}
			}
			verdict := refusal(r.verdict)
			if ok && verdict != "" && r.unknown == "" {
				list = append(list, svcRefusal{svcEntry: svcEntry{front: front, kind: kind, name: svcName(r.comment), chain: chain}, verdict: verdict})
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(list) == 0 {
		return nil
	}
	open, err := x.refusals()
	if err != nil {
		return err
	}
	for i := range list {
		list[i].link, list[i].missing = "filter "+list[i].chain, open[list[i].chain]
	}
	x.refuseAll(list)
	return nil
}

// refuseAll gives verdicts to the paths that they are for.
func (b *svcBuilder) refuseAll(list []svcRefusal) {
	known := make(map[svcFront][]int32, len(list))
	for i := range list {
		known[list[i].front] = nil
	}
	for i := range b.paths {
		p := &b.paths[i]
		front := svcFront{p.VIP, p.Port, protoNumber(p.Protocol)}
		if at, ok := known[front]; ok && p.Kind != facts.FrontHealth {
			known[front] = append(at, int32(i))
		}
	}
	for i := range list {
		b.refuse(&list[i], known[list[i].front])
	}
}

// refusals lists the ways into filter's chains that are missing, by chain.
func (x *svcIPTables) refusals() (map[string][]string, error) {
	missing := map[string][]string{}
	for base, chains := range map[string][]string{
		"INPUT": {services.ChainExternalServices}, "FORWARD": {services.ChainServices, services.ChainExternalServices}, "OUTPUT": {services.ChainServices},
	} {
		leads := map[string]bool{}
		err := x.src.rules("filter", base, func(r *svcRule) error {
			leads[string(r.target)] = leads[string(r.target)] || r.jumps() && r.unknown == ""
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, c := range chains {
			if !leads[c] {
				missing[c] = append(missing[c], "filter "+base+" to "+c)
			}
		}
	}
	for _, m := range missing {
		slices.Sort(m)
	}
	return missing, nil
}

// refuse gives a verdict to the path without backends that it is for, or makes one. A path with backends never comes to the verdict.
func (b *svcBuilder) refuse(r *svcRefusal, at []int32) {
	for _, i := range at {
		q := &b.paths[i]
		if q.Scope != "" && q.Scope != facts.ScopeOutside || len(q.Backends) > 0 {
			continue
		}
		q.Verdict, q.Broken, q.Unknown = r.verdict, r.missing, firstOf(q.Unknown, r.unknown)
		if b.trace {
			q.Trace = append(q.Trace, r.link)
		}
		return
	}
	if len(at) == 0 {
		b.add(facts.ServicePath{
			Name: r.name, Kind: r.kind, Family: b.family, VIP: r.front.addr, Port: r.front.port, Protocol: svcProto(r.front.proto), Verdict: r.verdict,
			Sources: r.sources, Broken: r.missing, Unknown: r.unknown, Trace: b.link("", r.link),
		})
	}
}

// health reads the ports of health checks, which table filter lets in.
func (x *svcIPTables) health() error {
	return x.src.rules("filter", services.ChainNodePorts, func(r *svcRule) error {
		front, ok := r.nodePort()
		if ok && r.verdict == svcAccept && r.unknown == "" {
			name, _, _ := strings.Cut(svcName(r.comment), ":") // of the Service: all its ports have one health check
			x.add(facts.ServicePath{Name: name, Kind: facts.FrontHealth, Family: x.family, Port: front.port, Protocol: svcProto(front.proto), Trace: x.link("", "filter "+services.ChainNodePorts)})
		}
		return nil
	})
}

// whole looks at the links that all paths share: the ways into KUBE-SERVICES, the mark, and what masquerades by it.
func (x *svcIPTables) whole() error {
	for _, base := range [...]string{"PREROUTING", "OUTPUT"} {
		leads := false
		err := x.src.rules("nat", base, func(r *svcRule) error {
			leads = leads || r.jumps() && string(r.target) == services.ChainServices && r.bare()
			return nil
		})
		if err != nil {
			return err
		}
		if !leads {
			x.breaks("nat "+base+" to "+services.ChainServices, func(p *facts.ServicePath) bool { return len(p.Backends) > 0 })
		}
	}
	for _, link := range [...]struct {
		chain string
		does  func(r *svcRule) bool
	}{
		{services.ChainMarkMasq, func(r *svcRule) bool { return r.verdict == svcMark }},
		{"POSTROUTING", func(r *svcRule) bool { return r.jumps() && string(r.target) == services.ChainPostrouting }},
		{services.ChainPostrouting, func(r *svcRule) bool { return r.verdict == svcMasquerade }},
	} {
		does := false
		err := x.src.rules("nat", link.chain, func(r *svcRule) error {
			does = does || link.does(r)
			return nil
		})
		if err != nil {
			return err
		}
		if !does {
			x.breaks("nat "+link.chain, func(p *facts.ServicePath) bool { return p.Masquerade != 0 })
		}
	}
	return nil
}
