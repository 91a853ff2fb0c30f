package collect

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// PodOptions says which pod is to be read, and what of it and its node.
type PodOptions struct {
	NetNS  string           // path of the pod's network namespace; empty: only the node is read
	Result *facts.PodResult // what the pod's plugins say they have made
	Kinds  []facts.Kind     // what the checks need and want; kinds that cannot be had by single questions are left out
	Intent facts.Intent
	Until  time.Time // when to begin nothing more; zero: never

	// Services is asked, late, for the virtual IPs to look up where Intent has none; what gives none either leaves them to be derived from the node's files.
	// It may be nil.
	Services func() []facts.ServiceIntent

	// Publish is called with what is known so far, each time something whole was read. What it gets is not changed afterwards. It may be nil.
	Publish func(*PodFacts)
}

// PodFacts is what was read for one pod.
type PodFacts struct {
	Snapshot *facts.Snapshot
	Left     []string // Services of which nothing certain can be said by single questions
}

// notYet is why a kind is missing in what is published before it was read.
const notYet = "not in time"

// Pod reads one pod and what of its node the pod depends on, by single questions: the links by name and number, the tunnels that routes of the main table
// lead into, one chain or element for each Service. Its snapshot is smaller than what the kinds promise elsewhere: Host has only those links that the
// pod's packets meet, only the main routing table and those that unmarked packets are sent to, and of link-local addresses only those of its links.
// An error means that the pod's namespace cannot be opened or entered; what cannot be read otherwise is in Missing.
func Pod(h *host.Host, o PodOptions) (*PodFacts, error) {
	c := &podCollection{settings: map[int]host.Settings{}, host: h, node: h.Node(), o: o, s: &facts.Snapshot{Schema: facts.Schema, Taken: time.Now().UTC(), Intent: o.Intent}}
	kinds := podKinds()
	c.s.Missing = make(map[facts.Kind]string, len(kinds))
	for _, k := range o.Kinds {
		if slices.Contains(kinds, k) && (o.NetNS != "" || k != facts.KindPods && k != facts.KindPodLinks) {
			c.s.Kinds = append(c.s.Kinds, k)
			c.s.Missing[k] = notYet
		}
	}
	c.s.Node = facts.Node{Name: h.Name(), Kernel: h.KernelRelease(), Privileged: os.Geteuid() == 0, Kubelet: h.Has("var/lib/kubelet")}
	c.s.Host.Inode, c.s.Host.Path = c.node.Inode, c.node.Path
	if o.NetNS != "" {
		if err := c.readPod(); err != nil {
			return nil, err
		}
	}
	err := c.node.DoHere(func() error {
		c.readNodeNamespace()
		c.publish()
		c.readFiles()
		c.publish()
		c.readServices()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("collect: %w", err)
	}
	c.publish()
	return &PodFacts{Snapshot: c.s, Left: c.left}, nil
}

// podKinds are the kinds that single questions answer.
func podKinds() []facts.Kind {
	return []facts.Kind{
		facts.KindTunnels, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFeatures, facts.KindSysctls,
		facts.KindConntrack, facts.KindPods, facts.KindNeighbourTable, facts.KindServiceVIPs, facts.KindProxy, facts.KindCNIConfig, facts.KindIPAM,
	}
}

// podCollection is one run of [Pod].
type podCollection struct {
	host *host.Host
	node *host.NS
	o    PodOptions
	s    *facts.Snapshot
	left []string

	settings map[int]host.Settings // of the node's links, by their numbers
	ipvs     *int                  // see ipvsLink; nil: not asked

	ipv6 bool // the pod, or the node where there is none, has an IPv6 address that others can reach
}

// step reads what some kinds need, if any of them is wanted, and records why they are missing if it fails.
func (c *podCollection) step(read func() error, kinds ...facts.Kind) {
	if !slices.ContainsFunc(kinds, func(k facts.Kind) bool { return slices.Contains(c.s.Kinds, k) }) {
		return
	}
	err := c.late()
	if err == nil {
		err = read()
	}
	for _, k := range kinds {
		if !slices.Contains(c.s.Kinds, k) {
			continue
		}
		delete(c.s.Missing, k)
		if err != nil {
			miss(&c.s.Missing, k, err)
		}
	}
}

// late is the error of what the time is up for.
func (c *podCollection) late() error {
	if c.o.Until.IsZero() || time.Now().Before(c.o.Until) {
		return nil
	}
	return context.DeadlineExceeded
}

// publish hands on a copy that later steps do not change.
func (c *podCollection) publish() {
	if c.o.Publish == nil {
		return
	}
	s := *c.s
	s.Kinds, s.Missing, s.Pods = slices.Clone(s.Kinds), maps.Clone(s.Missing), slices.Clone(s.Pods)
	s.Host.Links, s.Host.Sysctls = slices.Clone(s.Host.Links), maps.Clone(s.Host.Sysctls)
	if s.Proxy != nil {
		s.Proxy = new(*s.Proxy)
	}
	c.o.Publish(&PodFacts{Snapshot: &s, Left: slices.Clone(c.left)})
}

// readPod reads the pod's namespace.
func (c *podCollection) readPod() error {
	ns, err := c.host.Namespace(c.o.NetNS)
	if err != nil {
		return err
	}
	defer ns.Close()
	p := facts.Namespace{Inode: ns.Inode, Path: c.o.NetNS, Result: c.o.Result}
	err = ns.DoHere(func() error {
		c.readPodLinks(ns, &p)
		read := func(k facts.Kind, fn func() error) {
			if slices.Contains(c.s.Kinds, k) {
				if err := fn(); err != nil {
					miss(&p.Missing, k, err)
				}
			}
		}
		read(facts.KindAddresses, func() error { return readAddresses(ns, &p) })
		c.ipv6 = slices.ContainsFunc(p.Addresses, global6) || resultHas6(c.o.Result)
		read(facts.KindRoutes, func() (err error) { p.Routes, err = podRoutes(ns, c.ipv6); return err })
		read(facts.KindSysctls, func() (err error) { p.Sysctls, err = ns.Sysctls(targetPodPaths(&p, c.ipv6)); return err })
		if routed(&p) {
			if p.Neighbours, err = ns.Neighbours(); err != nil {
				miss(&p.Missing, facts.KindNeighbours, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	err = c.node.DoHere(func() (err error) { p.NSID, err = c.node.ID(ns); return err })
	if err != nil {
		return fmt.Errorf("collect: %w", err)
	}
	c.s.Pods = []facts.Namespace{p}
	c.step(func() error { return nil }, facts.KindPods)
	return nil
}

// readPodLinks reads the result's links of the pod by their names. One that is not there is not in the facts.
func (c *podCollection) readPodLinks(ns *host.NS, p *facts.Namespace) {
	if c.o.Result == nil {
		return
	}
	for _, name := range c.o.Result.Links {
		l, err := ns.LinkNamed(name)
		if isAbsent(err) || err == nil && p.Link(l.Index) != nil {
			continue
		}
		if err != nil {
			miss(&p.Missing, facts.KindPodLinks, err)
			return
		}
		p.Links = append(p.Links, *l)
	}
}

// podRoutes are the pod's routes of the main table.
func podRoutes(ns *host.NS, ipv6 bool) ([]facts.Route, error) {
	all, err := ns.TableRoutes(facts.TableMain, true)
	if err != nil || !ipv6 {
		return all, err
	}
	six, err := ns.TableRoutes(facts.TableMain, false)
	return append(all, six...), err
}

// routed says whether a default route of the pod leads to a gateway that no address of the pod is beside, as where the node answers for a gateway that
// does not exist. Then what the pod holds of its neighbours matters.
func routed(p *facts.Namespace) bool {
	return slices.ContainsFunc(p.Routes, func(r facts.Route) bool {
		return r.Dst.Bits() == 0 && r.Gateway.IsValid() && !slices.ContainsFunc(p.Addresses, func(a facts.Address) bool {
			return a.Link == r.Link && a.Scope == "global" && a.Prefix.Contains(r.Gateway)
		})
	})
}

func global6(a facts.Address) bool { return a.Prefix.Addr().Is6() && a.Scope == "global" }

func resultHas6(r *facts.PodResult) bool {
	return r != nil && slices.ContainsFunc(r.Addresses, func(a facts.ResultAddress) bool { return a.Prefix.Addr().Is6() })
}
