package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// Mirror keeps what the API server wants of one node's Services. While the API server is away it keeps what it knew last, with its age. Of each object only what
// decides is kept, once; the lists that [Mirror.Cluster] gives are the mirror's own.
type Mirror struct {
	node       string
	now        func() time.Time
	changed    func()
	reflectors []*reflector

	mu       sync.Mutex
	services store[facts.Service]
	slices   store[facts.EndpointSlice]
	nodes    store[facts.ClusterNode]
	pods     [2]store[proxyPod] // on the node, and on none yet
	daemons  store[facts.ProxyPod]
	intern   intern
	sources  []source
	recent   recent
	lost     time.Time // since when it is not heard; zero while it is
	back     time.Time // when it was heard again after a longer silence
}

// source is the state of one reflector.
type source struct {
	whole bool      // it was listed once
	heard time.Time // zero: never
	err   error
	must  bool // without it nothing can be compared
}

// How long a silence is one after which kube-proxy may need time to be heard again by itself, and how much it is given: it waits for up to 60 s between two
// attempts (backoff of client-go/tools/cache.Reflector: 30 s at most, and as much again by chance).
const (
	silence  = 10 * time.Second
	comeback = time.Minute
)

// Bytes that one takes with one port, one address and its names, on a machine of 64 bits.
const (
	sizeService  = 288
	sizeSlice    = 224
	sizeEndpoint = 56
)

// NewMirror prepares a mirror for a node. changed is called, from several goroutines, whenever something is not as it was; it must not block. now is the clock.
func NewMirror(a *Access, node string, now func() time.Time, changed func()) (*Mirror, error) {
	client, err := NewClient(a)
	if err != nil {
		return nil, fmt.Errorf("mirror the cluster: %w", err)
	}
	if node == "" {
		return nil, errors.New("mirror the cluster: the node has no name")
	}
	if changed == nil {
		changed = func() {}
	}
	m := &Mirror{node: node, now: now, changed: changed, intern: intern{}}
	m.recent.now = now
	m.follow(client)
	return m, nil
}

// Run follows the API server until the context ends.
func (m *Mirror) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range m.reflectors {
		all.Go(func() { r.run(ctx) })
	}
	all.Wait()
}

// update changes what is known, and tells of it where anything has changed.
func (m *Mirror) update(change func() (changed bool)) {
	m.mu.Lock()
	changed := change()
	m.mu.Unlock()
	if changed {
		m.changed()
	}
}

// failed notes why a reflector hears nothing, or that it does.
func (m *Mirror) failed(i int, err error) {
	m.update(func() bool {
		was := m.err()
		m.sources[i].err = err
		is, now := m.err(), m.now()
		switch {
		case is != nil && m.lost.IsZero():
			m.lost = now
		case is == nil && !m.lost.IsZero():
			if now.Sub(m.lost) >= silence {
				m.back = now
				time.AfterFunc(comeback+time.Second, m.changed) // it can be relied upon again
			}
			m.lost = time.Time{}
		}
		return fmt.Sprint(was) != fmt.Sprint(is)
	})
}

// Err says why the API server is not heard, as far as that keeps anything from being known; nil where it is.
func (m *Mirror) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err()
}

func (m *Mirror) err() error {
	for _, s := range m.sources {
		if s.must && s.err != nil {
			return s.err // that of one list: the others' is the same as a rule
		}
	}
	return nil
}

// Cluster is what the API server wants as far as it was heard, and its age: how long ago the one of its lists that was silent longest said anything. It is nil
// until Services, EndpointSlices and the Node have been listed once. The lists are shared and must not be changed.
func (m *Mirror) Cluster() *facts.Cluster {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.whole() {
		return nil
	}
	now := m.now()
	oldest := now
	for _, s := range m.sources {
		if s.must && s.heard.Before(oldest) {
			oldest = s.heard
		}
	}
	c := &facts.Cluster{
		Source: facts.SourceAPI, Age: int64(now.Sub(oldest).Seconds()), All: m.services.hand(), Slices: m.slices.hand(), Proxy: m.proxy(now), Recent: m.recent.list(),
	}
	if nodes := m.nodes.hand(); len(nodes) > 0 {
		c.Node = &nodes[0]
	}
	if err := m.err(); err != nil {
		c.Unheard = "the API server is not heard: " + err.Error()
	} else if since := now.Sub(m.back); !m.back.IsZero() && since < comeback {
		c.Unheard = fmt.Sprintf("the API server is heard again, but only for %d s, and kube-proxy may not hear it yet", int64(since.Seconds()))
	}
	return c
}

// Whole says whether everything was listed once, so that there is a [Mirror.Cluster].
func (m *Mirror) Whole() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.whole()
}

func (m *Mirror) whole() bool {
	return !slices.ContainsFunc(m.sources, func(s source) bool { return s.must && !s.whole })
}

// HasNode says whether the API server knows the node by the name that the mirror was made for.
func (m *Mirror) HasNode() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.nodes.list) > 0
}

// Size is about how many bytes are kept.
func (m *Mirror) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	size := len(m.services.list) * sizeService
	for i := range m.slices.list {
		size += sizeSlice + len(m.slices.list[i].Endpoints)*sizeEndpoint
	}
	return int64(size)
}

// proxy is kube-proxy's pod as far as pods and DaemonSets may be seen; nil where not.
func (m *Mirror) proxy(now time.Time) *facts.ProxyPod {
	for _, s := range m.sources {
		if !s.must && (!s.whole || s.err != nil) {
			return nil
		}
	}
	o := Objects{podsTold: true, daemonSets: m.daemons.hand()}
	for i := range m.pods {
		o.proxies = append(o.proxies, m.pods[i].list...)
	}
	return o.proxy(m.node, len(m.nodes.list) > 0, now)
}
