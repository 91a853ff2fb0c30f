package herald

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/kube/herald"
)

const (
	hasten  = 100 // so many times faster than the machine's goes the time of TestHour
	crowd   = 12  // nodes of each kind
	warming = 32 * time.Minute
)

// hastened is a clock that began at a time and goes faster. On a slow machine requests take longer by it, and what waits for them is written less often.
type hastened struct{ began time.Time }

func (c hastened) now() time.Time { return c.began.Add(hasten * time.Since(c.began)) }

func (c hastened) timer(d time.Duration) *time.Timer { return time.NewTimer(d / hasten) }

// until sleeps until so much of its time has passed since it began; false: the context has ended.
func (c hastened) until(ctx context.Context, passed time.Duration) bool {
	t := c.timer(passed - c.now().Sub(c.began))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// bound is how many requests there may be for a node and an hour. The least is far below what a machine that keeps up has: with less nothing was measured.
type bound struct{ least, most float64 }

// requests are what is counted, by the method and path.
var requests = []struct{ name, pattern string }{
	{"report", "^(POST|PUT|PATCH|DELETE) /apis/netmend.io/"},
	{"condition", "^PATCH /api/v1/nodes/[^/]+/status$"},
	{"events", "^(POST|PATCH) /api/v1/namespaces/[^/]+/events"},
	{"all writes", "^(POST|PUT|PATCH|DELETE) "},
	{"reads", "^GET "},
}

// kinds are the nodes. The bounds follow from the pace: numbers are written after half an hour, the condition after 54 minutes to 66, addresses after a minute,
// anything else with each change, of which those that are busy have 12 an hour. An hour can begin just before one.
var kinds = []struct {
	name   string
	load   load
	bounds [5]bound // of requests
}{
	{"quiet", load{}, [5]bound{{0, 0}, {0.2, 1.5}, {0, 0}, {0.2, 1.5}, {4, 26}}},
	{"quiet, counters grow", load{counters: true}, [5]bound{{0.4, 2.1}, {0.2, 1.5}, {0, 0}, {0.6, 3.5}, {4, 26}}},
	{"busy", load{counters: true, faults: true, pods: "10.244"}, [5]bound{{1, 13}, {1, 13}, {2, 26}, {4, 52}, {4, 26}}},
	{"busy, pods' addresses outside of its CIDRs", load{counters: true, faults: true, pods: "172.20"}, [5]bound{{1, 73}, {1, 13}, {2, 26}, {4, 112}, {4, 26}}},
}

// TestHour counts what nodes ask of the API server in an hour, by the daemon's own pace and a clock that goes faster. They begin one after another, as those of a
// cluster have: what each does every half hour is not done by all in the same minute, which may be outside of the hour.
func TestHour(t *testing.T) {
	c := newCluster(t)
	before := c.served()
	clock := hastened{time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	defer run.Wait()
	defer cancel()
	doors := make([]*door, len(kinds))
	var looks atomic.Int64
	due := 0
	for k, kind := range kinds {
		doors[k] = newDoor(t, c.Cluster)
		for i := range crowd {
			n := &simulated{load: kind.load, clock: clock, name: fmt.Sprintf("hour-%d-%d", k, i), number: k*crowd + i, looks: &looks}
			c.heard(n.name, clock.began.Add(-time.Hour*time.Duration(i)/crowd))
			h, err := herald.New(herald.Options{
				Client: doors[k].client(t), Node: n.name, Say: herald.Say{Report: true, Condition: true, Events: true}, Clock: herald.Clock{Now: clock.now, Timer: clock.timer},
				Health: func(err error) {
					if err != nil {
						t.Logf("%s: %v", n.name, err)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			begin := 30 * time.Minute * time.Duration(i) / crowd
			due += int((warming + time.Hour - begin) / between)
			run.Go(func() {
				if clock.until(ctx, begin) {
					h.Run(ctx)
				}
			})
			run.Go(func() { n.live(ctx, h, begin) })
		}
	}
	clock.until(ctx, warming)
	counts := func() (out [][]int) {
		for _, d := range doors {
			var row []int
			for _, r := range requests {
				row = append(row, d.count(r.pattern))
			}
			out = append(out, row)
		}
		return out
	}
	from, begun := counts(), clock.now()
	clock.until(ctx, warming+time.Hour)
	to, hours := counts(), clock.now().Sub(begun).Hours()
	cancel()
	run.Wait()

	t.Logf("writes per node and hour, of %d nodes of each kind at once, in %.2f hours that took %.0f s:", crowd, hours, hours*3600/hasten)
	t.Logf("the machine kept up with %d %% of the looks; without all of them fewer changes are seen", 100*looks.Load()/int64(due))
	all := 0
	for k, kind := range kinds {
		var line []string
		for r, bound := range kind.bounds {
			rate := float64(to[k][r]-from[k][r]) / crowd / hours
			line = append(line, fmt.Sprintf("%s %.1f", requests[r].name, rate))
			if rate < bound.least || rate > bound.most {
				t.Errorf("%s: %s: %.2f per node and hour; want %v to %v", kind.name, requests[r].name, rate, bound.least, bound.most)
			}
		}
		t.Logf("%s: %s; writes of 5,000 such nodes: %.1f a second", kind.name, strings.Join(line, ", "), float64(to[k][3]-from[k][3])/crowd/hours*5000/3600)
		all += doors[k].writes()
	}
	// Requests that were under way as the heralds ended may be counted on one side only, at most one of each.
	if served := c.served() - before; served > all+len(kinds)*crowd || served < all-len(kinds)*crowd {
		t.Errorf("the API server has served %d writes; %d were asked for", served, all)
	} else {
		t.Logf("writes in the whole test: %d were asked for, and %d served as the API server counts them", all, served)
	}
}

// heard makes a Node whose condition an earlier daemon has written at this time.
func (c *cluster) heard(name string, at time.Time) {
	c.t.Helper()
	when := at.UTC().Format(time.RFC3339)
	c.do(http.MethodPost, "/api/v1/nodes", object{
		"apiVersion": "v1", "kind": "Node", "metadata": object{"name": name}, "status": object{"conditions": append(kubelet("True"), object{
			"type": "NetworkMisconfigured", "status": "False", "reason": "NetworkProven", "message": "the node was audited, and nothing critical was found", "lastHeartbeatTime": when, "lastTransitionTime": when,
		})},
	})
}

// served is how many writes of what a herald writes the API server has served, by its own metrics, but for those that make Nodes.
func (c *cluster) served() (n int) {
	c.t.Helper()
	for line := range strings.Lines(string(c.do(http.MethodGet, "/metrics", nil))) {
		labels, found := strings.CutPrefix(line, "apiserver_request_total{")
		if !found || strings.Contains(labels, `verb="GET"`) || strings.Contains(labels, `verb="LIST"`) || strings.Contains(labels, `verb="WATCH"`) ||
			!strings.Contains(labels, `resource="nodenetworkreports"`) && !strings.Contains(labels, `resource="events"`) && !strings.Contains(labels, `resource="nodes",scope="resource",subresource="status"`) {
			continue
		}
		fields := strings.Fields(labels)
		count, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			c.t.Fatalf("metric %s: %v", line, err)
		}
		n += int(count)
	}
	return n
}
