package kube

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// Mirror keeps what the API server wants of one node's Services. While the API server is away it keeps what it knew last, with its age.
type Mirror struct {
	node       string
	now        func() time.Time
	changed    func()
	reflectors []*reflector

	mu       sync.Mutex
	services table[facts.Service]
	slices   table[facts.EndpointSlice]
	nodes    table[facts.ClusterNode]
	pods     [2]table[proxyPod] // on the node, and on none yet
	daemons  table[facts.ProxyPod]
	intern   intern
	sources  []source
	built    *facts.Cluster // of the last change; nil where it has to be made
}

// table is one list of objects by their names.
type table[T any] struct {
	known map[string]T
	fresh map[string]T // while a list is read
}

func (t *table[T]) put(name string, v T) {
	if t.fresh != nil {
		t.fresh[name] = v
		return
	}
	if t.known == nil {
		t.known = map[string]T{}
	}
	t.known[name] = v
}

// source is the state of one reflector.
type source struct {
	whole bool      // it was listed once
	heard time.Time // zero: never
	err   error
	must  bool // without it nothing can be compared
}

// What kube-proxy itself asks for (cmd/kube-proxy/app/server.go): nothing of other proxies, nothing headless.
const proxied = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"

// NewMirror prepares a mirror for a node. changed is called, from several goroutines, whenever something is not as it was; it must not block. now is the clock.
func NewMirror(a *Access, node string, now func() time.Time, changed func()) (*Mirror, error) {
	client, err := NewClient(a)
	if err != nil {
		return nil, fmt.Errorf("mirror the cluster: %w", err)
	}
	if node == "" {
		return nil, errors.New("mirror the cluster: the node has no name")
	}
	m := &Mirror{node: node, now: now, changed: changed, intern: intern{}}
	follow := func(kind, path string, must bool, query url.Values, begin, end func(), add func(*object) error, remove func(name string)) {
		i := len(m.sources)
		m.sources = append(m.sources, source{must: must})
		m.reflectors = append(m.reflectors, &reflector{
			client: client, path: path, query: query, kind: kind, retry: backoff,
			begin:  func() { m.update(false, begin) },
			add:    func(o *object) (err error) { m.update(true, func() { err = add(o) }); return err },
			remove: func(o *object) { m.update(true, func() { remove(o.name()) }) },
			end: func() {
				m.update(true, func() {
					end()
					m.sources[i].whole = true
				})
			},
			heard:  func() { m.update(false, func() { m.sources[i].heard = now() }) },
			failed: func(err error) { m.update(false, func() { m.sources[i].err = err }) },
		})
	}
	selector := func(labels, fields string) url.Values {
		q := url.Values{}
		if labels != "" {
			q.Set("labelSelector", labels)
		}
		if fields != "" {
			q.Set("fieldSelector", fields)
		}
		return q
	}
	follow(kindService, "/api/v1/services", true, selector(proxied, "spec.clusterIP!=None"), m.services.begin, m.services.end, func(o *object) error {
		s, err := service(o)
		m.services.put(o.name(), s)
		return err
	}, m.services.remove)
	follow(kindSlice, "/apis/discovery.k8s.io/v1/endpointslices", true, selector(proxied, ""), func() { m.slices.begin(); m.intern = intern{} }, m.slices.end, func(o *object) error {
		s, ok, err := endpointSlice(o, m.intern)
		if ok {
			m.slices.put(o.name(), s)
		} else {
			m.slices.remove(o.name())
		}
		return err
	}, m.slices.remove)
	follow(kindNode, "/api/v1/nodes", true, selector("", "metadata.name="+node), m.nodes.begin, m.nodes.end, func(o *object) error {
		n, err := toNode(o)
		m.nodes.put(o.name(), n)
		return err
	}, m.nodes.remove)
	for i, field := range []string{"spec.nodeName=" + node, "spec.nodeName="} {
		follow(kindPod, "/api/v1/namespaces/kube-system/pods", false, selector("k8s-app=kube-proxy", field), m.pods[i].begin, m.pods[i].end, func(o *object) error {
			if p, ok := toProxyPod(o); ok {
				m.pods[i].put(o.name(), p)
			}
			return nil
		}, m.pods[i].remove)
	}
	follow(kindDaemonSet, "/apis/apps/v1/namespaces/kube-system/daemonsets", false, selector("k8s-app=kube-proxy", ""), m.daemons.begin, m.daemons.end, func(o *object) error {
		m.daemons.put(o.name(), facts.ProxyPod{DaemonSet: o.name(), PriorityClass: o.Spec.Template.Spec.PriorityClass})
		return nil
	}, m.daemons.remove)
	return m, nil
}

func (t *table[T]) begin() { t.fresh = map[string]T{} }

func (t *table[T]) end() { t.known, t.fresh = t.fresh, nil }

func (t *table[T]) remove(name string) {
	if t.fresh != nil {
		delete(t.fresh, name)
		return
	}
	delete(t.known, name)
}

// update changes what is known. A list that is being read changes nothing before it is whole.
func (m *Mirror) update(counts bool, change func()) {
	m.mu.Lock()
	change()
	if counts {
		m.built = nil
	}
	m.mu.Unlock()
	if counts && m.changed != nil {
		m.changed()
	}
}

// Run follows the API server until the context ends.
func (m *Mirror) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range m.reflectors {
		all.Go(func() { r.run(ctx) })
	}
	all.Wait()
}

// Err says why the API server is not heard, as far as that keeps anything from being known; nil where it is.
func (m *Mirror) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, s := range m.sources {
		if s.must && s.err != nil {
			errs = append(errs, s.err)
		}
	}
	return errors.Join(errs...)
}

// Cluster is what the API server wants as far as it was heard, and its age: how long ago the one of its lists that was silent longest said anything. It is nil
// until Services, EndpointSlices and the Node have been listed once. The lists are shared and must not be changed.
func (m *Mirror) Cluster() *facts.Cluster {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	oldest := now
	for _, s := range m.sources {
		if s.must && !s.whole {
			return nil
		}
		if s.must && s.heard.Before(oldest) {
			oldest = s.heard
		}
	}
	if m.built == nil {
		m.built = m.build()
	}
	c := *m.built
	c.Age = int64(now.Sub(oldest).Seconds())
	c.Proxy = m.proxy(now)
	return &c
}

func (m *Mirror) build() *facts.Cluster {
	c := &facts.Cluster{Source: facts.SourceAPI}
	for _, name := range sortedNames(m.services.known) {
		c.All = append(c.All, m.services.known[name])
	}
	for _, s := range m.slices.known {
		c.Slices = append(c.Slices, s)
	}
	slices.SortFunc(c.Slices, func(a, b facts.EndpointSlice) int {
		if n := strings.Compare(a.Service, b.Service); n != 0 {
			return n
		}
		return strings.Compare(a.Name, b.Name)
	})
	for _, n := range m.nodes.known {
		c.Node = &n
	}
	return c
}

func sortedNames[T any](known map[string]T) []string {
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// proxy is kube-proxy's pod as far as pods and DaemonSets may be seen; nil where not.
func (m *Mirror) proxy(now time.Time) *facts.ProxyPod {
	for _, s := range m.sources {
		if !s.must && (!s.whole || s.err != nil) {
			return nil
		}
	}
	o := Objects{podsTold: true}
	for _, pods := range m.pods {
		for _, name := range sortedNames(pods.known) {
			o.proxies = append(o.proxies, pods.known[name])
		}
	}
	for _, name := range sortedNames(m.daemons.known) {
		o.daemonSets = append(o.daemonSets, m.daemons.known[name])
	}
	return o.proxy(m.node, len(m.nodes.known) > 0, now)
}
