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
	"github.com/netmend/netmend/pkg/nodereport"
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

// TestDifferences tells what has changed of a node's findings.
func TestDifferences(t *testing.T) {
	f := func(name, message string, s check.Severity) nodereport.Finding {
		return nodereport.Finding{Check: name, Object: "x", Severity: s, Message: message}
	}
	was := []nodereport.Finding{f("gone", "m", check.Critical), f("worse", "m", check.Warning), f("other", "eth0 is wrong", check.Warning), f("number", "5 lost", check.Warning), f("info", "m", check.Info)}
	is := []nodereport.Finding{f("worse", "m", check.Critical), f("other", "eth1 is wrong", check.Warning), f("number", "7 lost", check.Warning), f("new", "m", check.Warning), f("info2", "m", check.Info)}
	d := document()
	d.Resolved = []status.Finding{{Check: "gone", Where: "y", By: "fix 1"}, {Check: "gone", Where: "x", By: "fix 2"}}
	var got []string
	for _, n := range differences(involved{}, was, &view{doc: d, all: is}) {
		got = append(got, fmt.Sprint(n.reason, " ", n.warning, " ", n.message))
	}
	want := `NetworkFaultChanged true worse on x: critical: m
NetworkFaultChanged true other on x: warning: eth1 is wrong
NetworkFaultFound true new on x: warning: m
NetworkFaultGone false gone on x: it is gone, by fix 2`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("differences:\n%s\nwant\n%s", s, want)
	}
}

// TestEventsAway keeps what is worth telling when nobody hears for long, and in bounds.
func TestEventsAway(t *testing.T) {
	e := newEventState()
	node := involved{Kind: "Node", Name: "a"}
	view := func(findings ...nodereport.Finding) *view { return &view{doc: document(), all: findings} }
	f := func(name, message string, s check.Severity) nodereport.Finding {
		return nodereport.Finding{Check: name, Object: "x", Severity: s, Message: message}
	}
	a, worse := f("a", "1 lost", check.Warning), f("a", "1 lost", check.Critical)
	e.differ(node, nil, view(a))
	e.differ(node, []nodereport.Finding{a}, view(f("a", "2 lost", check.Warning))) // only a number
	e.differ(node, []nodereport.Finding{a}, view(worse))
	if len(e.waiting) != 1 || e.waiting[0].reason != reasonFound || !strings.Contains(e.waiting[0].message, "critical") {
		t.Errorf("waiting: %+v; want that a was found, as it is now", e.waiting)
	}
	e.differ(node, []nodereport.Finding{worse}, view())
	if len(e.waiting) != 0 {
		t.Errorf("waiting: %+v; want nothing: it came and went", e.waiting)
	}
	e.differ(node, []nodereport.Finding{worse}, view(f("a", "1 lost", check.Info)))
	if len(e.waiting) != 1 || e.waiting[0].reason != reasonGone || e.waiting[0].warning {
		t.Errorf("waiting: %+v; want that a is no fault any more", e.waiting)
	}
	var many []nodereport.Finding
	for i := range 1000 {
		many = append(many, f(fmt.Sprint("check-", i), "x", check.Warning))
	}
	e.differ(node, nil, view(many...))
	if len(e.waiting) != maxWaiting {
		t.Errorf("%d wait; want %d", len(e.waiting), maxWaiting)
	}
	allowed := 0
	for i := range many {
		if e.allowed(&news{about: node, reason: reasonFound, subject: fmt.Sprint(i)}, time.Now()) {
			allowed++
		}
	}
	if allowed != nodeBurst || e.more != len(many)-nodeBurst {
		t.Errorf("%d events at once, %d counted; want %d and %d", allowed, e.more, nodeBurst, len(many)-nodeBurst)
	}
	for i := range 1000 {
		e.remember(fmt.Sprint(i), &series{1, time.Now()})
	}
	if len(e.known) != maxKnown || len(e.order) != maxKnown {
		t.Errorf("%d and %d are remembered; want %d", len(e.known), len(e.order), maxKnown)
	}
}

// TestCensus counts whom a cluster can spare.
func TestCensus(t *testing.T) {
	names := func(prefix string, n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%s%02d", prefix, i))
		}
		return out
	}
	for _, tt := range []struct {
		name   string
		c      census
		spared bool // u00
	}{
		{"a cluster of one", census{1, nil, nil, names("u", 1)}, false},
		{"a small cluster", census{9, nil, nil, names("u", 9)}, false},
		{"ten nodes", census{10, nil, nil, names("u", 10)}, true},
		{"ten nodes, one is tainted", census{10, nil, names("t", 1), names("u", 9)}, false},
		{"twenty nodes, one is tainted", census{20, nil, names("t", 1), names("u", 18)}, true},
		{"its own claim", census{10, nil, names("u", 1), names("v", 9)}, true},
		{"another's claim", census{10, nil, names("u", 2), names("v", 8)}, false},
		{"it is the last that is ready", census{20, nil, nil, names("u", 1)}, false},
		{"nobody else is ready", census{20, nil, names("t", 1), nil}, false},
	} {
		if got := tt.c.spare("u00") == ""; got != tt.spared {
			t.Errorf("%s: spare %t; want %t", tt.name, got, tt.spared)
		}
	}
	now := time.Now()
	for claim, counts := range map[string]bool{
		"": false, "soon": false, "99999999999999999999": false, "9223372036854775807": false, "0": false, fmt.Sprint(now.Unix()): true, fmt.Sprint(now.Unix() - 360): false, fmt.Sprint(now.Unix() + 120): true,
	} {
		if holds(claim, now) != counts {
			t.Errorf("a claim of %q counts: %t; want %t", claim, !counts, counts)
		}
	}
}

// TestOfPod takes no name that would become another path.
func TestOfPod(t *testing.T) {
	for _, pod := range []string{"", "a", "/", "a/", "/b", "a/b/c", "../x", "a/..", "a/b?c", "a/b c", "a/" + strings.Repeat("x", 300), "ä/b"} {
		if n, ok := ofPod(&status.Report{Pod: pod}); ok {
			t.Errorf("%q gives %+v", pod, n.about)
		}
	}
	n, ok := ofPod(&status.Report{Pod: "a/b", PodUID: "../u", Verdict: "warn", Message: strings.Repeat("é\x00\n", 5000)})
	if !ok || n.about.UID != "" || n.reason != reasonWarned || len(n.message) > 1024 || strings.ContainsAny(n.message, "\n") {
		t.Errorf("ofPod = %+v, %t", n.about, ok)
	}
	if name := (&news{about: involved{Name: strings.Repeat("a", 253)}}).name(); len(name) > 253 {
		t.Errorf("an event's name has %d bytes", len(name))
	}
}
