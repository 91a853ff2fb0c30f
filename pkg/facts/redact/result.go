package redact

import "github.com/netmend/netmend/pkg/facts"

func (r *redactor) result(p *facts.PodResult) {
	if p == nil {
		return
	}
	r.word(&p.Network)
	if p.Container != "" {
		p.Container = r.id(p.Container)
	}
	for i := range p.Links {
		r.link(&p.Links[i])
	}
	for i := range p.Addresses {
		r.link(&p.Addresses[i].Link)
		r.prefix(&p.Addresses[i].Prefix)
		r.addr(&p.Addresses[i].Gateway)
	}
	for i := range p.Routes {
		r.prefix(&p.Routes[i].Dst)
		r.addr(&p.Routes[i].Gateway)
	}
}

func (r *redactor) probes(list []facts.Probe) {
	for i := range list {
		r.addr(&list[i].IP)
		for j := range list[i].Holders {
			r.mac(&list[i].Holders[j].MAC)
		}
	}
}
