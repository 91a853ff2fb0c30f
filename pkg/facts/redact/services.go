package redact

import (
	"net/netip"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// cluster replaces what the API wants of Services. A Service's port is drawn together with its Service, so that it goes on being a part of the name that
// kube-proxy gives to both.
func (r *redactor) cluster(c *facts.Cluster) {
	if c == nil {
		return
	}
	if n := c.Node; n != nil {
		r.node(&n.Name)
		r.addresses(n.Addresses)
		r.prefixes(n.PodCIDRs)
		r.word(&n.Zone)
	}
	if p := c.Proxy; p != nil {
		r.word(&p.Name)
		r.word(&p.DaemonSet)
		r.word(&p.PriorityClass)
	}
	for i := range c.All {
		s := &c.All[i]
		for j := range s.Ports {
			r.port(s.Name, &s.Ports[j].Name)
		}
		r.word(&s.Name)
		r.word(&s.Proxy)
		r.addresses(s.ClusterIPs)
		r.addresses(s.ExternalIPs)
		r.addresses(s.LoadBalancers)
		r.prefixes(s.SourceRanges)
	}
	for i := range c.Slices {
		r.slice(&c.Slices[i])
	}
	for i := range c.Recent {
		if c.Recent[i].Service != "" {
			r.word(&c.Recent[i].Service)
		}
	}
}

func (r *redactor) slice(s *facts.EndpointSlice) {
	for i := range s.Ports {
		r.port(s.Service, &s.Ports[i].Name)
	}
	r.word(&s.Name)
	r.word(&s.Service)
	r.word(&s.Proxy)
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		r.addr(&e.Addr)
		r.node(&e.Node)
		for j := range e.Zones() {
			r.word(&e.ForZones[j])
		}
		for j := range e.Nodes() {
			r.node(&e.ForNodes[j])
		}
	}
}

// node replaces a node's name. This node's own has been replaced before.
func (r *redactor) node(s *string) {
	if drawn, ok := r.names[*s]; ok {
		*s = drawn
		return
	}
	r.word(s)
}

func (r *redactor) port(service string, port *string) {
	if *port == "" {
		return
	}
	full := service + ":" + *port
	r.word(&full)
	*port = full[strings.LastIndexByte(full, ':')+1:]
}

func (r *redactor) addresses(list []netip.Addr) {
	for i := range list {
		r.addr(&list[i])
	}
}

func (r *redactor) serviceRules(s *facts.ServiceRules) {
	if s == nil {
		return
	}
	for i := range s.NodePorts {
		r.addresses(s.NodePorts[i].Addresses)
	}
	for i := range s.Paths {
		p := &s.Paths[i]
		r.word(&p.Name)
		r.addr(&p.VIP)
		r.prefixes(p.Sources)
		for j := range p.Backends {
			r.addrPort(&p.Backends[j].Addr)
		}
	}
	for i := range s.Ahead {
		r.prefix(&s.Ahead[i].Dst)
		r.addrPort(&s.Ahead[i].To)
	}
}

func (r *redactor) proxyConfig(p *facts.Proxy) {
	if p == nil || p.Config == nil {
		return
	}
	c := p.Config
	r.prefixes(c.ClusterCIDRs)
	r.prefixes(c.ExcludeCIDRs)
	r.addr(&c.BindAddress)
	r.node(&c.NodeName)
	r.link(&c.DetectLocalLink)
	for i, text := range c.NodePortAddresses {
		c.NodePortAddresses[i] = r.addressesIn(text)
	}
}

// serviceTexts replaces what occurs in free text of Services' facts: in links of a way the addresses, and names that were met before.
func (r *redactor) serviceTexts(s *facts.Snapshot) {
	if c := s.Intent.Cluster; c != nil {
		r.text(&c.Source)
		r.text(&c.Unheard)
		if c.Proxy != nil {
			r.text(&c.Proxy.Reason)
		}
	}
	if s.ServiceRules == nil {
		return
	}
	for i := range s.ServiceRules.Paths {
		p := &s.ServiceRules.Paths[i]
		for j := range p.Broken {
			r.text(&p.Broken[j])
		}
		r.text(&p.Unknown)
		for j := range p.Trace {
			r.text(&p.Trace[j])
		}
	}
	for i := range s.ServiceRules.Ahead {
		a := &s.ServiceRules.Ahead[i]
		r.text(&a.Where)
		r.text(&a.Unknown)
	}
}
