package kube

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

func TestMirror(t *testing.T) {
	s, c := newServer(t), &clock{now: time.Unix(1_700_000_000, 0)}
	for i := range 5 { // three pages
		s.put(servicesPath, serviceText(fmt.Sprintf("s%d", i), fmt.Sprintf("10.96.0.%d", i+1)))
	}
	s.put(slicesPath, "metadata: {name: s0-x, namespace: shop, labels: {kubernetes.io/service-name: s0}}\naddressType: IPv4\nports: [{name: '', port: 80}]\nendpoints: [{addresses: [10.244.0.1], nodeName: node1}]")
	s.put(nodesPath, "metadata: {name: node1}\nstatus: {addresses: [{type: InternalIP, address: 192.0.2.1}]}")
	s.put("/apis/apps/v1/namespaces/kube-system/daemonsets", "metadata: {name: kube-proxy, namespace: kube-system, labels: {k8s-app: kube-proxy}}\nspec: {template: {spec: {priorityClassName: system-node-critical}}}")
	m := mirrored(t, s, c)
	eventually(t, "the mirror to hear all lists", func() bool { k := m.Cluster(); return k != nil && k.Proxy != nil })
	got := m.Cluster()
	if names(got) != "shop/s0 shop/s1 shop/s2 shop/s3 shop/s4" || len(got.Slices) != 1 || got.Node == nil || got.Node.Name != "node1" || got.Source != facts.SourceAPI {
		t.Fatalf("Cluster = %+v", got)
	}
	if got.Proxy.Name != "" || got.Proxy.DaemonSet != "kube-system/kube-proxy" {
		t.Errorf("kube-proxy is %+v; want no pod of its DaemonSet", got.Proxy)
	}
	s.put(podsPath, "metadata: {name: kube-proxy-1, namespace: kube-system, labels: {k8s-app: kube-proxy}}\nspec: {nodeName: node1}\nstatus: {phase: Running, conditions: [{type: Ready, status: 'True'}]}")
	eventually(t, "its pod", func() bool { p := m.Cluster().Proxy; return p != nil && p.Ready })

	s.put(servicesPath, serviceText("s9", "10.96.0.9"))
	s.remove(servicesPath, serviceText("s0", "10.96.0.1"))
	eventually(t, "two changes", func() bool { return names(m.Cluster()) == "shop/s1 shop/s2 shop/s3 shop/s4 shop/s9" })

	s.mu.Lock()
	listed := s.lists[servicesPath]
	s.mu.Unlock()
	s.disturb(func() {}) // a watch that ends goes on where it was
	s.put(servicesPath, serviceText("s5", "10.96.0.5"))
	eventually(t, "a change after a watch has ended", func() bool { return strings.HasSuffix(names(m.Cluster()), "shop/s5 shop/s9") })
	s.mu.Lock()
	if s.lists[servicesPath] != listed {
		t.Errorf("Services were listed %d more times; want none, since the watch goes on", s.lists[servicesPath]-listed)
	}
	s.mu.Unlock()

	s.disturb(func() { s.down = true }) // the API server is away for hours
	eventually(t, "the mirror to notice", func() bool { return m.Err() != nil })
	before := names(m.Cluster())
	c.pass(3 * time.Hour)
	if k := m.Cluster(); names(k) != before || k.Age < 3*3600-60 {
		t.Errorf("while the API server is away: %s, %d s old; want %s, three hours old", names(k), k.Age, before)
	}
	s.remove(servicesPath, serviceText("s9", "10.96.0.9"))
	s.disturb(func() { s.down, s.oldest = false, s.version }) // and has forgotten what was
	eventually(t, "the list anew", func() bool {
		return names(m.Cluster()) == "shop/s1 shop/s2 shop/s3 shop/s4 shop/s5" && m.Cluster().Age < 60 && m.Err() == nil
	})
}

func TestMirrorRefused(t *testing.T) {
	s, c := newServer(t), &clock{now: time.Unix(1_700_000_000, 0)}
	s.put(servicesPath, serviceText("s0", "10.96.0.1"))
	s.put(nodesPath, "metadata: {name: node1}")
	s.refuse = "kube-system"
	m := mirrored(t, s, c)
	eventually(t, "what may be seen", func() bool { return m.Cluster() != nil })
	if k := m.Cluster(); k.Proxy != nil || m.Err() != nil {
		t.Errorf("kube-proxy is %+v, %v; want unknown and no error", k.Proxy, m.Err())
	}
	s.disturb(func() { s.refuse = "services" })
	n := mirrored(t, s, c)
	eventually(t, "the error", func() bool { return n.Err() != nil })
	if n.Cluster() != nil {
		t.Error("there is a cluster without Services")
	}
}

func TestMirrorBounds(t *testing.T) {
	s, c := newServer(t), &clock{now: time.Unix(1_700_000_000, 0)}
	s.put(servicesPath, serviceText("s0", "10.96.0.1"))
	s.put(nodesPath, "metadata: {name: node1}")
	m := mirrored(t, s, c)
	eventually(t, "the lists", func() bool { return m.Cluster() != nil })
	s.mu.Lock()
	s.version++
	s.events = append(s.events, change{s.version, servicesPath, `{"type":"ADDED","object":{"metadata":{"name":"` + strings.Repeat("x", maxObject) + `"}}}`})
	s.cond.Broadcast()
	s.mu.Unlock()
	eventually(t, "the huge event to be refused", func() bool { err := m.Err(); return err != nil && strings.Contains(err.Error(), ErrTooLarge.Error()) })
	if names(m.Cluster()) != "shop/s0" {
		t.Errorf("Services are %s; want shop/s0", names(m.Cluster()))
	}
}
