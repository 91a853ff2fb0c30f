// Package redact makes a snapshot that can be shown to strangers. It is a room of its own so that programs which never do that do not start with it.
package redact

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Snapshot gives a copy of the snapshot that can be shown to strangers. It replaces IP addresses, hardware addresses, container and boot ids, the node's
// name, names of links, namespaces, networks, files, chains, programs and Services that are not of well-known kinds, comments, and all of these within
// free text. Replacements are drawn from the key: who has it can take them back, so it should be random and thrown away.
//
// What a check can see of the replaced values stays as it was. Equal values stay equal and different ones different. Addresses share as many leading bits
// as before, so that an address is within the same prefixes and a route lookup has the same outcome; the first addresses of a subnet keep their host
// part, because networks and gateways are known by it; loopback, link-local, multicast and unspecified addresses stay, and private ones stay within their range.
// Names share as many leading letters as before, so that a pattern such as "cali+" matches the same links.
//
// Kernel release, distribution, process and index numbers, ports, tunnel ids, counters, sysctl values and times stay.
func Snapshot(s *facts.Snapshot, key []byte) (*facts.Snapshot, error) {
	survey := newRedactor(key, 0)
	c, err := s.Clone()
	if err != nil {
		return nil, fmt.Errorf("redact: %w", err)
	}
	survey.snapshot(c)
	// A draw that replaces an address by another one of the node reveals nothing, but it reads as if it did, so it is not taken. On a node that has most of
	// a private range there is no better one; a document that no node gives has one draw.
	const draws, many = 8, 100_000
	for n := range draws {
		r := newRedactor(key, n+1)
		r.zeros = survey.zeros
		if c, err = s.Clone(); err != nil {
			return nil, fmt.Errorf("redact: %w", err)
		}
		r.snapshot(c)
		if len(r.addrs) > many || !r.reused() {
			break
		}
	}
	return c, nil
}

func (r *redactor) snapshot(s *facts.Snapshot) {
	if s.Node.Name != "" {
		r.names[s.Node.Name] = "node"
		s.Node.Name = "node"
	}
	if s.Node.BootID != "" {
		s.Node.BootID = r.id(s.Node.BootID)
	}
	r.namespace(&s.Host)
	for i := range s.Pods {
		r.namespace(&s.Pods[i])
	}
	r.prefixes(s.Intent.PodCIDRs)
	r.prefixes(s.Intent.NodePodCIDR)
	for i := range s.Intent.Services {
		r.service(&s.Intent.Services[i])
	}
	for i := range s.ServiceVIPs {
		r.service(&s.ServiceVIPs[i].ServiceIntent)
	}
	r.proxyConfig(s.Proxy)
	r.cluster(s.Intent.Cluster)
	r.serviceRules(s.ServiceRules)
	r.cni(s.CNI)
	if s.IPAM != nil {
		for i := range s.IPAM.Networks {
			r.ipam(&s.IPAM.Networks[i])
		}
	}
	for i := range s.SysctlFiles {
		r.sysctlSetting(&s.SysctlFiles[i])
	}
	r.texts(s)
}

// texts comes last: names that occur in free text are those that were met before.
func (r *redactor) texts(s *facts.Snapshot) {
	for k, why := range s.Missing {
		s.Missing[k] = r.textOf(why)
	}
	for _, ns := range append([]*facts.Namespace{&s.Host}, pointers(s.Pods)...) {
		for k, why := range ns.Missing {
			ns.Missing[k] = r.textOf(why)
		}
	}
	for i := range s.Intent.Services {
		r.text(&s.Intent.Services[i].Source)
	}
	for i := range s.ServiceVIPs {
		r.text(&s.ServiceVIPs[i].Source)
		r.text(&s.ServiceVIPs[i].Detail)
	}
	if s.Proxy != nil {
		r.text(&s.Proxy.Source)
	}
	r.serviceTexts(s)
	if s.CNI != nil {
		for i := range s.CNI.Files {
			r.text(&s.CNI.Files[i].Error)
		}
	}
	r.text(&s.Note)
}

func pointers(pods []facts.Namespace) []*facts.Namespace {
	out := make([]*facts.Namespace, len(pods))
	for i := range pods {
		out[i] = &pods[i]
	}
	return out
}

func (r *redactor) namespace(n *facts.Namespace) {
	r.path(&n.Path)
	r.word(&n.Comm)
	r.result(n.Result)
	r.probes(n.Probes)
	for i := range n.Links {
		r.linkFacts(&n.Links[i])
	}
	for i := range n.Addresses {
		a := &n.Addresses[i]
		r.prefix(&a.Prefix)
		r.prefix(&a.Peer)
		r.link(&a.Label)
	}
	for i := range n.Routes {
		r.route(&n.Routes[i])
	}
	for i := range n.Rules {
		rule := &n.Rules[i]
		r.prefix(&rule.Src)
		r.prefix(&rule.Dst)
		r.link(&rule.InLink)
		r.link(&rule.OutLink)
	}
	for i := range n.Neighbours {
		r.addr(&n.Neighbours[i].IP)
		r.mac(&n.Neighbours[i].MAC)
	}
	for i := range n.FDB {
		r.addr(&n.FDB[i].Dst)
		r.mac(&n.FDB[i].MAC)
	}
	n.Sysctls = r.sysctls(n.Sysctls)
	for i := range n.UDPSockets {
		r.addrPort(&n.UDPSockets[i].Local)
	}
	for i := range n.Listeners {
		r.addrPort(&n.Listeners[i].Local)
	}
	for i := range n.TunnelNAT {
		f := &n.TunnelNAT[i]
		r.addrPort(&f.Src)
		r.addrPort(&f.Dst)
		r.addrPort(&f.ReplyDst)
	}
	for i := range n.Tables {
		r.table(&n.Tables[i])
	}
	r.ipvs(n.IPVS)
}

func (r *redactor) linkFacts(l *facts.Link) {
	r.link(&l.Name)
	r.mac(&l.MAC)
	if l.Tunnel != nil {
		r.addr(&l.Tunnel.Local)
		r.addr(&l.Tunnel.Remote)
	}
}

func (r *redactor) route(t *facts.Route) {
	r.prefix(&t.Dst)
	r.addr(&t.Src)
	r.addr(&t.Gateway)
	for i := range t.NextHops {
		r.addr(&t.NextHops[i].Gateway)
	}
}

func (r *redactor) ipvs(v *facts.IPVS) {
	if v == nil {
		return
	}
	for i := range v.Servers {
		r.addr(&v.Servers[i].VIP)
		for j := range v.Servers[i].Dests {
			r.addrPort(&v.Servers[i].Dests[j].Addr)
		}
	}
}

func (r *redactor) service(s *facts.ServiceIntent) {
	r.addr(&s.VIP)
	r.word(&s.Name)
}

func (r *redactor) cni(c *facts.CNI) {
	if c == nil {
		return
	}
	r.path(&c.Dir)
	r.path(&c.BinDir)
	for i := range c.Files {
		f := &c.Files[i]
		r.path(&f.Name)
		r.word(&f.Network)
		for j := range f.Plugins {
			r.plugin(&f.Plugins[j])
		}
	}
	if c.Flannel != nil {
		r.prefix(&c.Flannel.Network)
		r.prefix(&c.Flannel.Subnet)
		r.prefix(&c.Flannel.IPv6Network)
		r.prefix(&c.Flannel.IPv6Subnet)
	}
}

func (r *redactor) plugin(p *facts.CNIPlugin) {
	r.word(&p.Type)
	r.word(&p.IPAM)
	r.link(&p.Bridge)
	r.path(&p.DataDir)
	r.prefixes(p.Subnets)
	capabilities := map[string]bool{}
	for k, v := range p.Capabilities {
		r.word(&k)
		capabilities[k] = v
	}
	if p.Capabilities != nil {
		p.Capabilities = capabilities
	}
}

func (r *redactor) ipam(n *facts.IPAMNetwork) {
	r.word(&n.Name)
	r.path(&n.Dir)
	r.prefixes(n.Subnets)
	for i := range n.Reservations {
		v := &n.Reservations[i]
		r.addr(&v.IP)
		r.link(&v.IfName)
		if v.ID != "" {
			v.ID = r.id(v.ID)
		}
	}
}

func (r *redactor) prefixes(list []netip.Prefix) {
	for i := range list {
		r.prefix(&list[i])
	}
}

func (r *redactor) sysctls(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for key, v := range m {
		out[r.sysctlKey(key)] = r.addressesIn(v) // stable_secret is written as an address
	}
	return out
}

// sysctlKey replaces the link in a path such as net/ipv4/conf/eth0/rp_filter.
func (r *redactor) sysctlKey(key string) string {
	step := strings.Split(key, "/")
	if len(step) > 3 && step[0] == "net" && (step[2] == "conf" || step[2] == "neigh") {
		r.link(&step[3])
	}
	return strings.Join(step, "/")
}

func (r *redactor) sysctlSetting(s *facts.SysctlSetting) {
	r.path(&s.File)
	s.Key = r.sysctlKey(s.Key)
	if !strings.HasPrefix(s.Key, "net/") {
		r.word(&s.Value) // such as a domain name or a path
		return
	}
	s.Value = r.addressesIn(s.Value)
}
