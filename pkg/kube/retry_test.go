package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// TestBackoff holds that waits grow to their limit, and that no two nodes wait for the same time.
func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		name        string
		wait        func(int) time.Duration
		first, last time.Duration
	}{{"failures", backoff, firstRetry, lastRetry}, {"refusals", refusal, firstRefusal, lastRefusal}} {
		for attempt := range 100 {
			want := c.last
			if attempt < 10 {
				want = min(c.last, c.first<<attempt)
			}
			seen := map[time.Duration]bool{}
			for range 20 {
				d := c.wait(attempt)
				if d < want/2 || d > want {
					t.Fatalf("%s: attempt %d waits %s; want %s to %s", c.name, attempt, d, want/2, want)
				}
				seen[d] = true
			}
			if len(seen) < 10 {
				t.Errorf("%s: of 20 waits only %d differ", c.name, len(seen))
			}
		}
	}
}

// errs answers requests one after the other, without a network, so that time can be the test's.
type errs struct {
	answers []func() (*http.Response, error)
	at      []time.Duration
	start   time.Time
}

func (e *errs) RoundTrip(r *http.Request) (*http.Response, error) {
	e.at = append(e.at, time.Since(e.start))
	if len(e.at) > len(e.answers) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return e.answers[len(e.at)-1]()
}

func status429(after string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		w := httptest.NewRecorder()
		w.Header().Set("Retry-After", after)
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"kind":"Status","message":"too many\n requests"}`)
		return w.Result(), nil
	}
}

func text(s string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		w := httptest.NewRecorder()
		fmt.Fprint(w, s)
		return w.Result(), nil
	}
}

func code(status int) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		w := httptest.NewRecorder()
		w.WriteHeader(status)
		return w.Result(), nil
	}
}

// TestRetry holds how long a reflector waits between its requests.
func TestRetry(t *testing.T) {
	const list = `{"metadata":{"resourceVersion":"7"},"items":[]}`
	for _, c := range []struct {
		name    string
		answers []func() (*http.Response, error)
		least   []time.Duration // between a request and the next
		most    []time.Duration
	}{
		{"as long as it asks for", []func() (*http.Response, error){status429("30"), text(list)}, []time.Duration{30 * time.Second, 0}, []time.Duration{38 * time.Second, 0}},
		{"not for hours", []func() (*http.Response, error){status429("999999"), text(list)}, []time.Duration{mostAsked, 0}, []time.Duration{mostAsked + mostAsked/4 + 1, 0}},
		{"no number", []func() (*http.Response, error){status429("soon"), text(list)}, []time.Duration{firstRetry / 2, 0}, []time.Duration{firstRetry, 0}},
		{"not allowed", []func() (*http.Response, error){code(403), code(403), code(403)},
			[]time.Duration{2 * time.Second, 4 * time.Second, 8 * time.Second}, []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second}},
		{"a watch that is not allowed, of a list that is", []func() (*http.Response, error){text(list), code(403), text(list), code(403)},
			[]time.Duration{0, 2 * time.Second, 0, 4 * time.Second}, []time.Duration{0, 4 * time.Second, 0, 8 * time.Second}},
		{"watches that end at once", []func() (*http.Response, error){text(list), text(""), text(""), text("")},
			[]time.Duration{0, firstRetry / 2, firstRetry, 2 * firstRetry}, []time.Duration{0, firstRetry, 2 * firstRetry, 4 * firstRetry}},
		{"a memory that never reaches back", []func() (*http.Response, error){text(list), code(410), text(list), code(410)},
			[]time.Duration{0, firstRetry / 2, 0, firstRetry}, []time.Duration{0, firstRetry, 0, 2 * firstRetry}},
		{"the network", []func() (*http.Response, error){
			func() (*http.Response, error) { return nil, errors.New("no route") },
			func() (*http.Response, error) { return nil, errors.New("no route") },
		}, []time.Duration{firstRetry / 2, firstRetry}, []time.Duration{firstRetry, 2 * firstRetry}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &errs{answers: c.answers, start: time.Now()}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				none := func() {}
				r := &reflector{client: &Client{access: &Access{Server: "https://192.0.2.1"}, http: &http.Client{Transport: e}}, path: "/x", query: url.Values{}, retry: backoff, refusal: refusal,
					begin: none, end: none, heard: none, failed: func(error) {}, add: func(*object) error { return nil }}
				r.run(ctx)
				if len(e.at) <= len(c.least) {
					t.Fatalf("%d requests; want at least %d", len(e.at), len(c.least)+1)
				}
				for i := range c.least {
					if d := e.at[i+1] - e.at[i]; d < c.least[i] || d > c.most[i] {
						t.Errorf("request %d came %s after the last; want %s to %s", i+1, d, c.least[i], c.most[i])
					}
				}
			})
		})
	}
}

// TestLists holds from where a list is asked for: out of memory, unless that did not reach back.
func TestLists(t *testing.T) {
	s, c := newServer(t), &clock{now: time.Unix(1_700_000_000, 0)}
	s.put(nodesPath, "metadata: {name: node1}")
	m := mirrored(t, s, c)
	eventually(t, "the lists", m.Whole)
	s.mu.Lock()
	first := s.from[servicesPath]
	s.mu.Unlock()
	s.disturb(func() { s.oldest = s.version + 1 })
	s.put(servicesPath, serviceText("s0", "10.96.0.1"))
	s.mu.Lock()
	s.oldest = s.version
	s.mu.Unlock()
	eventually(t, "the list anew", func() bool { return names(m.Cluster()) == "shop/s0" })
	s.mu.Lock()
	defer s.mu.Unlock()
	if all := s.from[servicesPath]; first[0] != "0" || all[len(first)] != "" {
		t.Errorf("lists were asked for from %q; want 0 at first, and nothing after a memory that did not reach back", all)
	}
}

// TestRecent holds that what has changed is told, and what only seems to is not.
func TestRecent(t *testing.T) {
	s, c := newServer(t), &clock{now: time.Unix(1_700_000_000, 0)}
	s.put(servicesPath, serviceText("s0", "10.96.0.1"))
	s.put(nodesPath, "metadata: {name: node1}")
	var changes atomic.Int64
	m := mirroredTo(t, s, c, func() { changes.Add(1) })
	recent := func() (out []string) {
		k := m.Cluster()
		if k == nil {
			return []string{"nothing"}
		}
		for _, r := range k.Recent {
			out = append(out, fmt.Sprintf("%s %d", r.Service, r.Age))
		}
		return out
	}
	is := func(want string) func() bool { return func() bool { return strings.Join(recent(), ", ") == want } }
	eventually(t, "the lists, in which nothing is a change", is(""))
	s.put(servicesPath, serviceText("s1", "10.96.0.2"))
	before := m.Size()
	eventually(t, "a new Service", is("shop/s1 0"))
	if before != sizeService && before != 2*sizeService || m.Size() != 2*sizeService {
		t.Errorf("the size was %d and is %d; want %d", before, m.Size(), 2*sizeService)
	}
	c.pass(10 * time.Second)
	eventually(t, "the change to be old", is("shop/s1 10"))
	c.pass(facts.RecentFor * time.Second)
	eventually(t, "the change to be forgotten", is(""))
	told := changes.Load()
	s.put(servicesPath, serviceText("s1", "10.96.0.2")+"\nstatus: {conditions: [{type: x}]}") // of which nothing is kept
	s.put(slicesPath, "metadata: {name: s1-x, namespace: shop, labels: {kubernetes.io/service-name: s1}}\naddressType: IPv4")
	eventually(t, "an EndpointSlice", is("shop/s1 0"))
	if now := changes.Load(); now != told+1 {
		t.Errorf("%d changes were told; want one", now-told)
	}
	c.pass((facts.RecentFor + 1) * time.Second)
	s.put(nodesPath, "metadata: {name: node1, labels: {topology.kubernetes.io/zone: z1}}")
	eventually(t, "the zone, which is about every Service", is(" 0"))
	c.pass((facts.RecentFor + 1) * time.Second)
	for i := range maxRecent + 1 {
		s.put(servicesPath, serviceText(fmt.Sprintf("t%d", i), "10.96.1.1"))
	}
	eventually(t, "too many changes to name them", is(" 0"))
}

// TestUnheard holds when what is known must not be relied upon, though it is young.
func TestUnheard(t *testing.T) {
	s, c := newServer(t), &clock{now: time.Unix(1_700_000_000, 0)}
	s.put(nodesPath, "metadata: {name: node1}")
	m := mirrored(t, s, c)
	unheard := func() string {
		k := m.Cluster()
		if k == nil {
			return "nothing"
		}
		return k.Unheard
	}
	eventually(t, "the lists", func() bool { return unheard() == "" })
	s.disturb(func() { s.down = true })
	eventually(t, "the silence", func() bool { return strings.Contains(unheard(), "Service Unavailable") })
	s.disturb(func() { s.down = false })
	eventually(t, "the end of a short silence", func() bool { return unheard() == "" })
	s.disturb(func() { s.down = true })
	eventually(t, "another silence", func() bool { return strings.HasPrefix(unheard(), "the API server is not heard") })
	c.pass(silence)
	s.disturb(func() { s.down = false })
	eventually(t, "the end of a longer silence", func() bool { return strings.Contains(unheard(), "heard again") })
	c.pass(comeback)
	eventually(t, "kube-proxy to have had the time", func() bool { return unheard() == "" })
}
