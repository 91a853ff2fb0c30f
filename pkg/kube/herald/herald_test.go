package herald

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/status"
)

// server answers what a test wants. Package test/herald has a real one; this one fails in ways that the real one won't on demand.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []string
	answer func(w http.ResponseWriter, r *http.Request) bool // false: as a cluster that has the node and nothing else
}

const nodeJSON = `{"metadata":{"name":"a","uid":"u1","resourceVersion":"5"},"spec":{"taints":[{"key":"x","timeAdded":"2026-01-02T03:04:05Z"},{"key":"` + TaintKey + `"}]},"status":{"conditions":[]}}`

func newServer(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) *server {
	s := &server{answer: answer}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Method+" "+r.URL.Path)
		s.mu.Unlock()
		switch {
		case s.answer != nil && s.answer(w, r):
		case strings.HasPrefix(r.URL.Path, "/api/v1/nodes/"):
			fmt.Fprint(w, nodeJSON)
		case r.Method == http.MethodGet:
			w.WriteHeader(http.StatusNotFound)
		default:
			fmt.Fprint(w, `{"metadata":{"name":"a","uid":"r1","resourceVersion":"9"}}`)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) count(what string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.seen {
		if strings.Contains(line, what) {
			n++
		}
	}
	return n
}

// herald tells this server everything, as fast as it can, until the test ends.
func (s *server) herald(t *testing.T) (*Herald, func() string) {
	t.Helper()
	c, err := kube.NewClient(&kube.Access{Server: s.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), Token: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	health := "untold"
	h, err := New(Options{Client: c, Node: "a", Say: Say{true, true, true, true}, Pace: Pace{Settle: time.Millisecond, Look: time.Hour, Refused: time.Second}, Health: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		health = fmt.Sprint(err)
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { h.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		run.Wait()
	})
	return h, func() string {
		mu.Lock()
		defer mu.Unlock()
		return health
	}
}

func document(findings ...status.Finding) *status.Document {
	d := &status.Document{State: status.Proven, Ready: true, Mode: "audit", Started: time.Now().Add(-time.Hour), At: time.Now(), Findings: findings}
	for _, f := range findings {
		if f.Severity == check.Critical {
			d.State = status.Faulty
		}
	}
	return d
}

func bad(name string) status.Finding {
	return status.Finding{Check: name, Severity: check.Critical, Where: "x", Message: "y", Settled: true}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited for %s", what)
		}
	}
}

// TestOneKindFails lets a webhook fail for reports alone: all else is told.
func TestOneKindFails(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "netmend.io") || r.Method == http.MethodGet {
			return false
		}
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	h, health := s.herald(t)
	h.Feed(document(bad("c")), &facts.Snapshot{})
	until(t, "the condition, an event, and the trouble", func() bool {
		return s.count("PATCH /api/v1/nodes/a/status") > 0 && s.count("POST /api/v1/namespaces/default/events") > 0 && strings.Contains(health(), "Internal Server Error")
	})
	if n := s.count("POST /api/v1/namespaces/default/events"); n != 1 {
		t.Errorf("%d events were sent; want one", n)
	}
}

// TestNamespaceEnds lets the events of one namespace be refused: those of others are told.
func TestNamespaceEnds(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/namespaces/ending/") {
			return false
		}
		w.WriteHeader(http.StatusForbidden)
		return true
	})
	h, health := s.herald(t)
	h.Tell(status.Report{Pod: "ending/a", Verdict: "refuse", At: time.Now()})
	h.Tell(status.Report{Pod: "default/b", Verdict: "refuse", At: time.Now()})
	h.Feed(document(bad("c")), &facts.Snapshot{})
	until(t, "the events of another pod and of the node", func() bool { return s.count("POST /api/v1/namespaces/default/events") == 2 })
	until(t, "the daemon to be content", func() bool { return health() == "<nil>" })
	for i := range 5 {
		h.Tell(status.Report{Pod: fmt.Sprint("ending/", i), Verdict: "refuse", At: time.Now()})
	}
	until(t, "several in a row to be told of", func() bool { return strings.Contains(health(), "ending/events: Forbidden") })
}

// TestNoStorm counts the requests to API servers that do not want any.
func TestNoStorm(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		most   int // in three seconds
		want   string
	}{
		{"leave me alone", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}, 1, ""},
		{"unavailable", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, 6, "Service Unavailable"},
		{"unauthorized", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, 5, "Unauthorized"},
		{"no node", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, 1, "Not Found"},
		{"nonsense", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, 6, "invalid character"},
		{"hangs up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 12, "EOF"},
		{"conflicts", func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "nodes/") {
				fmt.Fprint(w, nodeJSON)
				return
			}
			w.WriteHeader(http.StatusConflict)
		}, 45, "Conflict"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) bool {
				tt.answer(w, r)
				return true
			})
			h, health := s.herald(t)
			begin := time.Now()
			for i := 0; time.Since(begin) < 3*time.Second; i++ {
				h.Feed(document(bad(fmt.Sprint("c", i))), &facts.Snapshot{})
				h.Tell(status.Report{Pod: fmt.Sprintf("default/p%d", i), Verdict: "refuse", At: time.Now()})
				time.Sleep(5 * time.Millisecond)
			}
			if n := s.count(""); n == 0 || n > tt.most {
				t.Errorf("%d requests in 3 s; want one to %d: %v", n, tt.most, s.seen)
			}
			if !strings.Contains(health(), tt.want) {
				t.Errorf("health: %s; want %q", health(), tt.want)
			}
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.news) > maxNews {
				t.Errorf("%d reports wait", len(h.news))
			}
		})
	}
}

// TestStarting says nothing of a node that is not audited yet, nor when the daemon ends.
func TestStarting(t *testing.T) {
	s := newServer(t, nil)
	h, _ := s.herald(t)
	d := document()
	d.State, d.Started = status.Starting, time.Now()
	h.Feed(d, nil)
	d = document()
	d.State = status.Stopping
	h.Feed(d, nil)
	time.Sleep(time.Second)
	if n := s.count(""); n > 0 {
		t.Errorf("requests: %v; want none", s.seen)
	}
	d = document()
	d.State, d.Ready, d.Started = status.Starting, false, time.Now().Add(-2*time.Minute)
	h.Feed(d, nil)
	until(t, "a daemon that has been starting for long to say so", func() bool { return s.count("PATCH /api/v1/nodes/a/status") > 0 })
	if s.count("PATCH /api/v1/nodes/a/status") != s.count("PATCH") {
		t.Errorf("the taint was touched: %v", s.seen)
	}
}

func TestNew(t *testing.T) {
	c := &kube.Client{}
	for _, o := range []Options{{}, {Client: c}, {Client: c, Node: "a/../b"}, {Client: c, Node: "a?b"}, {Node: "a"}} {
		if _, err := New(o); err == nil {
			t.Errorf("New(%+v) is no error", o)
		}
	}
}
