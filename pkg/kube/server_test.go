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
