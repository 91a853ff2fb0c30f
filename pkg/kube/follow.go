package kube

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// What kube-proxy itself asks for (cmd/kube-proxy/app/server.go): nothing of other proxies, nothing headless.
const proxied = "!service.kubernetes.io/service-proxy-name,!service.kubernetes.io/headless"

// followed is one list that is followed: what is asked for, and what is done with its objects. Each function is called with the mirror locked, and says whether
// anything has changed.
type followed struct {
	kind, path     string
	labels, fields string // selectors
	must           bool   // without it nothing can be compared
	begin, end     func()
	add            func(*object) (changed bool, err error)
	remove         func(*object) (changed bool)
}

// follow makes a reflector for each list.
func (m *Mirror) follow(client *Client) {
	m.stores()
	for i, f := range m.lists() {
		m.sources = append(m.sources, source{must: f.must})
		query := url.Values{}
		if f.labels != "" {
			query.Set("labelSelector", f.labels)
		}
		if f.fields != "" {
			query.Set("fieldSelector", f.fields)
		}
		m.reflectors = append(m.reflectors, &reflector{
			client: client, path: f.path, query: query, kind: f.kind, retry: backoff, refusal: refusal,
			begin: func() {
				m.update(func() bool {
					f.begin()
					return false
				})
			},
			add: func(o *object) (err error) {
				m.update(func() (changed bool) {
					changed, err = f.add(o)
					return changed
				})
				return err
			},
			remove: func(o *object) { m.update(func() bool { return f.remove(o) }) },
			end: func() {
				m.update(func() bool {
					f.end()
					m.sources[i].whole = true
					return true
				})
			},
			heard: func() {
				m.update(func() bool {
					m.sources[i].heard = m.now()
					return false
				})
			},
			failed: func(err error) { m.failed(i, err) },
		})
	}
}

// stores gives each store its order, and notes which Services change.
func (m *Mirror) stores() {
	m.services = store[facts.Service]{
		order: func(a, b *facts.Service) int { return strings.Compare(a.Name, b.Name) },
		same:  func(a, b *facts.Service) bool { return a.Name == b.Name },
		changed: func(was, is *facts.Service) {
			m.recent.touch(cmp.Or(is, was).Name)
		},
	}
	m.slices = store[facts.EndpointSlice]{
		order: func(a, b *facts.EndpointSlice) int {
			return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name))
		},
		same: func(a, b *facts.EndpointSlice) bool {
			return a.Name == b.Name && namespaceOf(a.Service) == namespaceOf(b.Service)
		},
		changed: func(was, is *facts.EndpointSlice) {
			m.recent.touch(cmp.Or(is, was).Service)
		},
	}
	m.nodes = store[facts.ClusterNode]{
		order:   func(a, b *facts.ClusterNode) int { return strings.Compare(a.Name, b.Name) },
		same:    func(a, b *facts.ClusterNode) bool { return a.Name == b.Name },
		changed: func(*facts.ClusterNode, *facts.ClusterNode) { m.recent.touch("") }, // its addresses and its zone decide about every Service
	}
	for i := range m.pods {
		m.pods[i] = store[proxyPod]{
			order: func(a, b *proxyPod) int { return strings.Compare(a.Name, b.Name) },
			same:  func(a, b *proxyPod) bool { return a.Name == b.Name },
		}
	}
	m.daemons = store[facts.ProxyPod]{
		order: func(a, b *facts.ProxyPod) int { return strings.Compare(a.DaemonSet, b.DaemonSet) },
		same:  func(a, b *facts.ProxyPod) bool { return a.DaemonSet == b.DaemonSet },
	}
}

func namespaceOf(name string) string {
	namespace, _, _ := strings.Cut(name, "/")
	return namespace
}

// lists are those that are followed.
func (m *Mirror) lists() []followed {
	out := []followed{
		{
			kind: kindService, path: "/api/v1/services", must: true, labels: proxied, fields: "spec.clusterIP!=None", begin: m.services.begin, end: m.services.end,
			add: func(o *object) (bool, error) {
				s, err := service(o, m.intern)
				return err == nil && m.services.put(s), err
			},
			remove: func(o *object) bool { return m.services.remove(facts.Service{Name: o.name()}) },
		},
		{
			kind: kindSlice, path: "/apis/discovery.k8s.io/v1/endpointslices", must: true, labels: proxied, begin: m.slices.begin, end: m.slices.end,
			add: func(o *object) (bool, error) {
				s, ok, err := endpointSlice(o, m.intern)
				switch {
				case err != nil:
					return false, err
				case !ok: // it is no Service's any more
					return m.slices.remove(nameless(o)), nil
				}
				return m.slices.put(s), nil
			},
			remove: func(o *object) bool { return m.slices.remove(nameless(o)) },
		},
		{
			kind: kindNode, path: "/api/v1/nodes", must: true, fields: "metadata.name=" + m.node, begin: m.nodes.begin, end: m.nodes.end,
			add: func(o *object) (bool, error) {
				n, err := toNode(o)
				return err == nil && m.nodes.put(n), err
			},
			remove: func(o *object) bool { return m.nodes.remove(facts.ClusterNode{Name: o.Metadata.Name}) },
		},
		{
			kind: kindDaemonSet, path: "/apis/apps/v1/namespaces/kube-system/daemonsets", labels: "k8s-app=kube-proxy", begin: m.daemons.begin, end: m.daemons.end,
			add: func(o *object) (bool, error) {
				return m.daemons.put(facts.ProxyPod{DaemonSet: o.name(), PriorityClass: o.Spec.Template.Spec.PriorityClass}), nil
			},
			remove: func(o *object) bool { return m.daemons.remove(facts.ProxyPod{DaemonSet: o.name()}) },
		},
	}
	for i, field := range []string{"spec.nodeName=" + m.node, "spec.nodeName="} {
		pods := &m.pods[i]
		out = append(out, followed{
			kind: kindPod, path: "/api/v1/namespaces/kube-system/pods", labels: "k8s-app=kube-proxy", fields: field, begin: pods.begin, end: pods.end,
			add: func(o *object) (bool, error) {
				p, ok := toProxyPod(o)
				return ok && pods.put(p), nil
			},
			remove: func(o *object) bool { return pods.remove(proxyPod{ProxyPod: facts.ProxyPod{Name: o.name()}}) },
		})
	}
	return out
}

// nameless is an EndpointSlice of which only its own name and its namespace are known.
func nameless(o *object) facts.EndpointSlice {
	return facts.EndpointSlice{Name: o.Metadata.Name, Service: o.Metadata.Namespace + "/"}
}
