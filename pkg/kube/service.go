package kube

import (
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// defaultAffinity is timeoutSeconds where the API server was not asked for another (DefaultClientIPServiceAffinitySeconds of k8s.io/api/core/v1).
const defaultAffinity = 10800

// service takes what decides from a Service.
func service(o *object, in intern) (facts.Service, error) {
	s := facts.Service{
		Name: o.name(), Type: o.Spec.Type, Proxy: labelled(o.Metadata.Labels.ProxyName), Headless: o.Metadata.Labels.Headless != nil,
		ExternalLocal: o.Spec.External == "Local", InternalLocal: o.Spec.Internal == "Local",
	}
	if o.Metadata.Name == "" || o.Metadata.Namespace == "" {
		return s, o.wrong("no name or no namespace")
	}
	switch s.Type {
	case "":
		s.Type = facts.TypeClusterIP
	case facts.TypeClusterIP, facts.TypeNodePort, facts.TypeLoadBalancer, facts.TypeExternalName:
		s.Type = in.share(s.Type)
	default:
		return s, o.wrong("unknown type %.50q", s.Type)
	}
	if err := serviceAddresses(o, &s); err != nil {
		return s, err
	}
	if o.Spec.Session == "ClientIP" {
		s.Affinity = defaultAffinity
		if t := o.Spec.AffinityClass.ClientIP.Timeout; t != nil && *t > 0 {
			s.Affinity = uint32(*t)
		}
	}
	var err error
	if s.HealthPort, err = number(o.Spec.HealthPort); err != nil {
		return s, o.wrong("healthCheckNodePort: %v", err)
	}
	if n := len(o.Spec.Ports); n > 0 {
		s.Ports = make([]facts.ServicePort, 0, n)
	}
	for _, p := range o.Spec.Ports {
		port, err := servicePort(&p, in)
		if err != nil {
			return s, o.wrong("%v", err)
		}
		s.Ports = append(s.Ports, port)
	}
	return s, nil
}

func servicePort(p *apiPort, in intern) (out facts.ServicePort, err error) {
	if p.Name != nil {
		out.Name = in.share(*p.Name)
	}
	if p.Port == nil {
		p.Port = new(int32)
	}
	if out.Port, err = number(*p.Port); err != nil {
		return out, err
	}
	if out.NodePort, err = number(p.NodePort); err != nil {
		return out, err
	}
	out.Protocol, err = protocol(p.Protocol)
	return out, err
}

// serviceAddresses reads a Service's addresses. clusterIP is the first of clusterIPs; "None" and an empty one are no address. External IPs that are none are
// passed over as kube-proxy does (MapIPsByIPFamily of pkg/proxy/util), since the API server once let them in.
func serviceAddresses(o *object, s *facts.Service) error {
	ips := o.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{o.Spec.ClusterIP}
	}
	for _, text := range ips {
		if text == "" || text == "None" {
			continue
		}
		a, err := address(text)
		if err != nil {
			return o.wrong("clusterIPs: %v", err)
		}
		s.ClusterIPs = append(s.ClusterIPs, a)
	}
	for _, text := range o.Spec.ExternalIPs {
		if a, err := address(text); err == nil {
			s.ExternalIPs = append(s.ExternalIPs, a)
		}
	}
	for _, in := range o.Status.LoadBalancer.Ingress {
		if in.IP == "" || in.IPMode != nil && *in.IPMode != "VIP" {
			continue
		}
		a, err := address(in.IP)
		if err != nil {
			return o.wrong("loadBalancer: %v", err)
		}
		s.LoadBalancers = append(s.LoadBalancers, a)
	}
	for _, text := range o.Spec.SourceRanges {
		if p, err := prefix(text); err == nil {
			s.SourceRanges = append(s.SourceRanges, p)
		} else if strings.TrimSpace(text) != "" {
			return o.wrong("loadBalancerSourceRanges: %v", err)
		}
	}
	return nil
}

// intern shares strings that occur over and over: names of nodes, zones and ports.
type intern map[string]string

// maxShared is more than there are nodes in a cluster; where names come and go for months, it begins anew.
const maxShared = 1 << 14

func (in intern) share(s string) string {
	if known, ok := in[s]; ok {
		return known
	}
	if len(in) >= maxShared {
		clear(in)
	}
	in[s] = s
	return s
}

// endpointSlice takes what decides from an EndpointSlice. Of one that belongs to no Service, or whose addresses are names, nothing does: ok is false.
func endpointSlice(o *object, in intern) (s facts.EndpointSlice, ok bool, err error) {
	if o.Metadata.Name == "" || o.Metadata.Namespace == "" {
		return s, false, o.wrong("no name or no namespace")
	}
	l := &o.Metadata.Labels
	if l.ServiceName == nil || *l.ServiceName == "" || o.AddressType == "FQDN" {
		return s, false, nil
	}
	s = facts.EndpointSlice{
		Name: o.Metadata.Name, Service: o.Metadata.Namespace + "/" + *l.ServiceName, Family: 4, Proxy: labelled(l.ProxyName), Headless: l.Headless != nil,
	}
	switch o.AddressType {
	case "IPv4":
	case "IPv6":
		s.Family = 6
	default:
		return s, false, o.wrong("unknown addressType %.50q", o.AddressType)
	}
	if n := len(o.Ports); n > 0 {
		s.Ports = make([]facts.EndpointPort, 0, n)
	}
	for _, p := range o.Ports {
		if p.Name == nil || p.Port == nil || *p.Port == 0 {
			continue // kube-proxy passes them over (endpointInfoByServicePort)
		}
		port := facts.EndpointPort{Name: in.share(*p.Name)}
		if port.Port, err = number(*p.Port); err != nil {
			return s, false, o.wrong("%v", err)
		}
		if port.Protocol, err = protocol(p.Protocol); err != nil {
			return s, false, o.wrong("%v", err)
		}
		s.Ports = append(s.Ports, port)
	}
	s.Endpoints = make([]facts.Endpoint, 0, len(o.Endpoints))
	for i := range o.Endpoints {
		e := &o.Endpoints[i]
		if len(e.Addresses) == 0 {
			continue
		}
		out := facts.Endpoint{
			Ready:       e.Conditions.Ready == nil || *e.Conditions.Ready,
			Serving:     e.Conditions.Serving == nil || *e.Conditions.Serving,
			Terminating: e.Conditions.Terminating != nil && *e.Conditions.Terminating,
		}
		if out.Addr, err = address(e.Addresses[0]); err != nil {
			return s, false, o.wrong("%v", err)
		}
		if e.NodeName != nil {
			out.Node = in.share(*e.NodeName)
		}
		if h := e.Hints; h != nil && len(h.ForZones)+len(h.ForNodes) > 0 {
			out.Hints = &facts.Hints{ForZones: in.hints(e.Hints.ForZones), ForNodes: in.hints(e.Hints.ForNodes)}
		}
		s.Endpoints = append(s.Endpoints, out)
	}
	return s, true, nil
}

func (in intern) hints(list []hint) (out []string) {
	for _, h := range list {
		out = append(out, in.share(h.Name))
	}
	return out
}
