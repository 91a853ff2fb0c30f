package herald

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// Bounds of what is told in events. An API server forgets events after an hour (--event-ttl).
const (
	maxWaiting = 64 // that wait for the API server; beyond, the oldest are dropped
	maxKnown   = 256
	lifetime   = time.Hour
	again      = 5 * time.Minute // before the same event is counted once more

	nodeBurst = 16 // of the node at once, and one more each nodeEvery
	nodeEvery = time.Minute
	podBurst  = 20
	podEvery  = 10 * time.Second

	enough = 3 // events of pods that are refused in a row
)

// eventState is the events that wait, and those that were told.
type eventState struct {
	waiting  []news // the oldest first
	known    map[string]*series
	order    []string // names of known, the oldest first
	node     *rate.Limiter
	pods     *rate.Limiter
	more     int  // of the node that there was no token for
	refused  int  // in a row
	baseline bool // it is known what an earlier process has told
	begun    bool // the first comparison was made
}

// series is an event that was told, maybe several times.
type series struct {
	count int // 0: of an earlier process, and not known
	at    time.Time
}

func newEventState() eventState {
	return eventState{known: map[string]*series{}, node: rate.NewLimiter(rate.Every(nodeEvery), nodeBurst), pods: rate.NewLimiter(rate.Every(podEvery), podBurst)}
}

// hear takes what the plugin told of pods.
func (e *eventState) hear(reports []status.Report) {
	for i := range reports {
		if n, ok := ofPod(&reports[i]); ok {
			e.put(n)
		}
	}
}

// differ takes what has changed of the node's findings.
func (e *eventState) differ(node involved, was []nodereport.Finding, v *view) {
	for _, n := range differences(node, was, v) {
		n.initial = !e.begun && !e.baseline
		e.put(n)
	}
	e.begun = true
}

// put lets an event wait. Of one subject only the newest is told: what came and went while the API server was away is told as what it is now, or not at all.
func (e *eventState) put(n news) {
	for i, w := range e.waiting {
		if w.about != n.about || w.subject != n.subject || n.about.Kind == "Pod" && w.reason != n.reason {
			continue
		}
		e.waiting = slices.Delete(e.waiting, i, i+1)
		if w.reason == reasonFound && n.reason == reasonGone {
			return
		}
		if w.reason == reasonFound && n.reason == reasonChanged {
			n.reason = reasonFound
		}
		break
	}
	e.waiting = append(e.waiting, n)
	if len(e.waiting) > maxWaiting {
		e.waiting = slices.Delete(e.waiting, 0, 1)
	}
}

// tellEvents writes those that wait, as far as the limits let it.
func (h *Herald) tellEvents(ctx context.Context, v *view) error {
	e := &h.events
	if !v.say.Events {
		e.waiting, e.more = nil, 0
		return nil
	}
	for len(e.waiting) > 0 {
		n := e.waiting[0]
		if h.now.Sub(n.at) < lifetime {
			if !n.paid && !e.allowed(&n, h.now) {
				e.waiting = e.waiting[1:]
				continue
			}
			e.waiting[0].paid = true
			err := h.write(ctx, &n)
			if err != nil && !kube.Refused(err) {
				return err
			}
			e.waiting = slices.Delete(e.waiting, 0, 1)
			if err == nil {
				e.refused = 0
				continue
			}
			// It may be this one that is refused, as in a namespace that ends. Several in a row are all.
			if e.refused++; n.about.Kind != "Pod" || e.refused >= enough {
				return err
			}
			h.log.Debug("event refused", "pod", n.about.Namespace+"/"+n.about.Name, "error", err)
			continue
		}
		e.waiting = e.waiting[1:]
	}
	e.waiting = nil
	if e.more > 0 && e.node.AllowN(h.now, 1) {
		n := news{about: h.node.object(), reason: reasonMore, subject: "more", warning: true, at: v.doc.At, message: fmt.Sprintf("%d more changes of findings: kubectl get nnr %s -o yaml", e.more, h.o.Node)}
		if err := h.write(ctx, &n); err != nil {
			return err
		}
		e.more = 0
	}
	return nil
}

// allowed takes a token, unless the event was told a short while ago.
func (e *eventState) allowed(n *news, now time.Time) bool {
	if s := e.known[n.name()]; s != nil && n.about.Kind == "Pod" && now.Sub(s.at) < again {
		return false
	}
	if n.about.Kind == "Pod" {
		return e.pods.AllowN(now, 1)
	}
	if e.node.AllowN(now, 1) {
		return true
	}
	e.more++
	return false
}

// write makes an event, or counts the one that is there.
func (h *Herald) write(ctx context.Context, n *news) error {
	collection, name := "/api/v1/namespaces/"+n.namespace()+"/events", n.name()
	event := n.event(h.o.Node)
	s := h.events.known[name]
	if s == nil || h.now.Sub(s.at) > lifetime {
		err := h.o.Client.Create(ctx, collection, &event, nil)
		if err == nil {
			h.events.remember(name, &series{1, h.now})
			return nil
		}
		if !kube.Conflict(err) {
			return err
		}
		if s = (&series{0, h.now}); n.initial {
			h.events.remember(name, s) // an earlier process has told it, and it has been so since
			return nil
		}
	}
	patch := map[string]any{"lastTimestamp": event.Last, "message": event.Message}
	if s.count == 0 {
		var there apiEvent
		if err := h.o.Client.Patch(ctx, collection+"/"+name, kube.MergePatch, patch, &there); err != nil {
			return err
		}
		s.count = max(there.Count, 1)
	}
	patch["count"] = s.count + 1
	err := h.o.Client.Patch(ctx, collection+"/"+name, kube.MergePatch, patch, nil)
	if kube.NotFound(err) { // the API server has forgotten it
		err = h.o.Client.Create(ctx, collection, &event, nil)
		s.count = 0
	}
	if err == nil {
		h.events.remember(name, &series{s.count + 1, h.now})
	}
	return err
}

func (e *eventState) remember(name string, s *series) {
	if e.known[name] == nil {
		e.order = append(e.order, name)
	}
	e.known[name] = s
	if len(e.order) > maxKnown {
		delete(e.known, e.order[0])
		e.order = slices.Delete(e.order, 0, 1)
	}
}

// line is a text as one line of at most 1 KiB, the longest message that an API server takes in an Event of events.k8s.io.
func line(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "…"
	}
	return s
}
