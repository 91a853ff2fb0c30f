package kube

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/facts"
)

// server is an API server that holds objects in a list for each path and forgets what comes before a version.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	cond    *sync.Cond
	version int
	objects map[string][]map[string]any // by path
	events  []change
	oldest  int  // versions before it are forgotten
	down    bool // every request fails
	refuse  string
	lists   map[string]int
	from    map[string][]string // the versions from which lists were asked for, by path
	cut     int                 // connections of watches up to this number are closed
	watches int
}

type change struct {
	version int
	path    string
	text    string
}

func newServer(t *testing.T) *server {
	s := &server{objects: map[string][]map[string]any{}, version: 100, lists: map[string]int{}, from: map[string][]string{}}
	s.cond = sync.NewCond(&s.mu)
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		s.mu.Lock()
		s.cut = 1 << 30
		s.cond.Broadcast()
		s.mu.Unlock()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) access() *Access {
	return &Access{Server: s.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), Token: "secret"}
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer secret":
		w.WriteHeader(http.StatusUnauthorized)
	case s.down:
		w.WriteHeader(http.StatusServiceUnavailable)
	case s.refuse != "" && strings.Contains(r.URL.Path, s.refuse):
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	default:
		s.list(w, r)
	}
}

// list gives two objects on a page.
func (s *server) list(w http.ResponseWriter, r *http.Request) {
	s.lists[r.URL.Path]++
	s.from[r.URL.Path] = append(s.from[r.URL.Path], r.URL.Query().Get("resourceVersion"))
	all, next := s.objects[r.URL.Path], ""
	from := 0
	fmt.Sscan(r.URL.Query().Get("continue"), &from) // nothing is 0
	to := min(from+2, len(all))
	if to < len(all) {
		next = fmt.Sprint(to)
	}
	json.NewEncoder(w).Encode(map[string]any{"kind": "XList", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version), "continue": next}, "items": all[from:to]})
}

func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	from := 0
	fmt.Sscan(r.URL.Query().Get("resourceVersion"), &from)
	if from < s.oldest {
		fmt.Fprintln(w, `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (2)","reason":"Expired","code":410}}`)
		return
	}
	s.watches++
	number := s.watches
	w.(http.Flusher).Flush()
	for sent := 0; r.Context().Err() == nil && number > s.cut && !s.down; s.cond.Wait() {
		for ; sent < len(s.events); sent++ {
			if e := s.events[sent]; e.path == r.URL.Path && e.version > from {
				fmt.Fprintln(w, e.text)
			}
		}
		w.(http.Flusher).Flush()
	}
}

// put makes or changes an object; remove takes it away.
func (s *server) put(path, text string)    { s.change(path, text, "MODIFIED") }
func (s *server) remove(path, text string) { s.change(path, text, "DELETED") }

func (s *server) change(path, text, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	s.version++
	meta := o["metadata"].(map[string]any)
	meta["resourceVersion"] = fmt.Sprint(s.version)
	var rest []map[string]any
	for _, other := range s.objects[path] {
		if other["metadata"].(map[string]any)["name"] != meta["name"] {
			rest = append(rest, other)
		}
	}
	if kind != "DELETED" {
		rest = append(rest, o)
	}
	s.objects[path] = rest
	line, _ := json.Marshal(map[string]any{"type": kind, "object": o})
	s.events = append(s.events, change{s.version, path, string(line)})
	s.cond.Broadcast()
}

// disturb changes the server and ends all watches.
func (s *server) disturb(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.cut = s.watches
	s.cond.Broadcast()
}

const (
	servicesPath = "/api/v1/services"
	slicesPath   = "/apis/discovery.k8s.io/v1/endpointslices"
	nodesPath    = "/api/v1/nodes"
	podsPath     = "/api/v1/namespaces/kube-system/pods"
)

func serviceText(name, ip string) string {
	return fmt.Sprintf("metadata: {name: %s, namespace: shop}\nspec: {type: ClusterIP, clusterIPs: [%s], ports: [{port: 80}]}", name, ip)
}

// clock is one that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// mirrored runs a mirror that waits little.
func mirrored(t *testing.T, s *server, c *clock) *Mirror {
	t.Helper()
	return mirroredTo(t, s, c, nil)
}

// mirroredTo tells of changes.
func mirroredTo(t *testing.T, s *server, c *clock, changed func()) *Mirror {
	t.Helper()
	m, err := NewMirror(s.access(), "node1", c.Now, changed)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range m.reflectors {
		r.retry = func(int) time.Duration { return 10 * time.Millisecond }
		r.refusal = r.retry
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		m.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Error("the mirror does not end with its context")
		}
	})
	return m
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 3000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", what)
}

func names(c *facts.Cluster) string {
	if c == nil {
		return "nothing"
	}
	var out []string
	for _, s := range c.All {
		out = append(out, s.Name)
	}
	return strings.Join(out, " ")
}

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
