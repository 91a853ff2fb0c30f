package facts

import "fmt"

// What bounds a document's Services, so that what compares them ends in time: a cluster of Kubernetes' largest supported size has 10,000 Services and 150,000
// pods (kubernetes.io/docs/setup/best-practices/cluster-large). A path is one frontend of one family.
const (
	maxServices = 1 << 16
	maxSlices   = 1 << 17
	maxPaths    = 1 << 18
)

func (c *Cluster) validate() error {
	if c == nil {
		return nil
	}
	if len(c.All) > maxServices || len(c.Slices) > maxSlices || len(c.Recent) > maxServices {
		return fmt.Errorf("%d Services with %d EndpointSlices: a cluster has no more than %d and %d", len(c.All), len(c.Slices), maxServices, maxSlices)
	}
	for i := range c.All {
		s := &c.All[i]
		for _, a := range s.ClusterIPs {
			if !a.IsValid() {
				return fmt.Errorf("Service %q has an empty ClusterIP", s.Name)
			}
		}
		for _, p := range s.Ports {
			if !knownProtocol(p.Protocol) {
				return fmt.Errorf("Service %q has a port of protocol %q", s.Name, p.Protocol)
			}
		}
	}
	for i := range c.Slices {
		s := &c.Slices[i]
		if s.Family != 4 && s.Family != 6 {
			return fmt.Errorf("EndpointSlice %q is of family %d", s.Name, s.Family)
		}
		for _, e := range s.Endpoints {
			if !e.Addr.IsValid() {
				return fmt.Errorf("EndpointSlice %q has an endpoint without address", s.Name)
			}
		}
	}
	return nil
}

func (r *ServiceRules) validate() error {
	if r == nil {
		return nil
	}
	if len(r.Paths) > maxPaths {
		return fmt.Errorf("%d paths of Services: a node has no more than %d", len(r.Paths), maxPaths)
	}
	for i := range r.Paths {
		p := &r.Paths[i]
		if p.Family != 4 && p.Family != 6 || !knownProtocol(p.Protocol) || p.Port == 0 {
			return fmt.Errorf("a path of Service %q with family %d to port %d/%s", p.Name, p.Family, p.Port, p.Protocol)
		}
		for _, b := range p.Backends {
			if !b.Addr.IsValid() {
				return fmt.Errorf("a path of Service %q with a backend without address", p.Name)
			}
		}
	}
	return r.validateAhead()
}

// maxAhead is far above what a reader gives.
const maxAhead = 10_000

func (r *ServiceRules) validateAhead() error {
	if len(r.Ahead) > maxAhead {
		return fmt.Errorf("%d rules ahead of kube-proxy's: no more than %d are read", len(r.Ahead), maxAhead)
	}
	for i := range r.Ahead {
		a := &r.Ahead[i]
		if a.Family != 4 && a.Family != 6 || a.Hook != HookPrerouting && a.Hook != HookOutput || a.Protocol != "" && !knownProtocol(a.Protocol) {
			return fmt.Errorf("a rule ahead of kube-proxy's, %q, with family %d, hook %q and protocol %q", a.Where, a.Family, a.Hook, a.Protocol)
		}
	}
	return nil
}

func knownProtocol(name string) bool { return name == "tcp" || name == "udp" || name == "sctp" }
