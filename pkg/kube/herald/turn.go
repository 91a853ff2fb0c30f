package herald

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// longest is how long Run sleeps when nothing happens.
const longest = 30 * time.Second

// told is what the goroutine of Run knows: what was said, and what of it has arrived.
type told struct {
	now  time.Time // of this turn
	next time.Time // when the next one is due

	memory   nodereport.Memory
	node     nodeObject // as it was seen last; without a uid: never
	lookAt   time.Time
	recalled bool // what an earlier process has told was looked up

	said     *nodereport.Status // nil: nothing yet
	findings []nodereport.Finding
	unlike   [nodereport.Other + 1]time.Time // since when what would be said differs by so much
	gate     nodereport.Gate
	gateAt   time.Time // since when it is what it is

	report    reportState
	condition conditionState
	events    eventState
	taint     taintState
	refusals  map[string]*refusal // by what cannot be told

	attempt    int // that failed in a row, of whatever was asked
	calm       time.Time
	trouble    error
	health     string // that was told
	healthTold bool   // it was told at all
}

// refusal is why something cannot be told, which asking again at once would not change.
type refusal struct {
	err   error
	again time.Time
}

func newTold() told {
	return told{refusals: map[string]*refusal{}, events: newEventState()}
}

// view is what is to be told in one turn.
type view struct {
	say    Say
	doc    *status.Document
	facts  *facts.Snapshot
	status nodereport.Status
	all    []nodereport.Finding
	gate   nodereport.Gate
	news   []status.Report
}

// duties are what is told, in the order in which it is: a node that is proven waits for its taint first.
func (h *Herald) duties() []duty {
	return []duty{{"the taint", h.tellTaint}, {"the condition", h.tellCondition}, {"the report", h.tellReport}, {"events", h.tellEvents}}
}

type duty struct {
	name string
	do   func(context.Context, *view) error
}

// turn tells what is due, and gives the time until the next turn.
func (h *Herald) turn(ctx context.Context) time.Duration {
	h.now = h.clock.Now()
	h.next = h.now.Add(longest)
	v := h.latest()
	if v.say.Events {
		h.events.hear(v.news)
	}
	if v.doc == nil {
		return longest
	}
	h.memory.See(v.doc, v.facts) // also while nobody can be told: what is seen in one window is gone with the next
	if h.now.Before(h.calm) {
		return h.calm.Sub(h.now)
	}
	if d := v.doc; d.State == status.Stopping || !nodereport.Told(d.State) && h.now.Sub(d.Started) < h.pace.Starting {
		return longest // a daemon that has just begun, or ends, leaves standing what it has said
	}
	v.make(&h.memory)
	if !h.attend(ctx, v) {
		h.lookAt = time.Time{}
		h.sooner(h.calm)
	} else {
		h.attempt, h.trouble = 0, nil
	}
	h.tellHealth(v.say)
	return h.next.Sub(h.now)
}

// attend does one turn's work. It is false when the API server did not answer as it should: then everything waits.
func (h *Herald) attend(ctx context.Context, v *view) bool {
	if !h.try(ctx, v, duty{"the node", h.look}) {
		return false
	}
	if h.node.Metadata.UID == "" || h.refusals["the node"] != nil {
		return true
	}
	h.judge(v)
	clean := true
	for _, d := range h.duties() {
		if !h.try(ctx, v, d) {
			clean = false
			if !kube.Internal(h.trouble) { // else it is the fault of this kind of object, as where a webhook is away: the others need not wait
				break
			}
		}
	}
	return clean
}

// try does a duty, unless it was refused a short while ago.
func (h *Herald) try(ctx context.Context, v *view, d duty) (answered bool) {
	if r := h.refusals[d.name]; r != nil && h.now.Before(r.again) {
		h.sooner(r.again)
		return true
	}
	err := d.do(ctx, v)
	switch {
	case err == nil:
		delete(h.refusals, d.name)
	case ctx.Err() != nil:
		return false
	case kube.Refused(err):
		wait := h.pace.Refused
		if d.name == "the node" && kube.NotFound(err) {
			wait = h.pace.Absent
		}
		r := &refusal{err, h.now.Add(wait)}
		h.refusals[d.name] = r
		h.sooner(r.again)
	default:
		h.trouble = err
		if !h.calm.After(h.now) {
			h.calm = h.now.Add(kube.RetryAfter(err, h.attempt))
			h.attempt++
		}
		return false
	}
	return true
}

func (h *Herald) sooner(at time.Time) {
	if at.Before(h.next) {
		h.next = at
	}
}

// latest takes what others have handed over.
func (h *Herald) latest() *view {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := &view{say: h.say, doc: h.doc, facts: h.facts, news: h.news}
	h.news = nil
	return v
}

// make finds out what the node says.
func (v *view) make(m *nodereport.Memory) {
	v.status, v.all, v.gate = nodereport.From(v.doc, v.facts, m), nodereport.Findings(v.doc, m), nodereport.GateOf(v.doc, v.facts)
}

// judge finds out whether what would be said is another thing than what was, and has been for long enough.
func (h *Herald) judge(v *view) {
	if v.gate != h.gate || h.gateAt.IsZero() {
		if v.gate.Pass != h.gate.Pass || v.gate.Bar != h.gate.Bar || h.gateAt.IsZero() {
			h.gateAt = h.now
		}
		h.gate = v.gate
	}
	how := nodereport.Other
	if h.said != nil {
		how = nodereport.Compare(h.said, &v.status)
	}
	for level := range h.unlike {
		switch {
		case nodereport.Difference(level) > how:
			h.unlike[level] = time.Time{}
		case h.unlike[level].IsZero():
			h.unlike[level] = h.now
		}
	}
	if how == nodereport.Same {
		return
	}
	due := h.unlike[how].Add([...]time.Duration{nodereport.Numbers: h.pace.Numbers, nodereport.Addresses: h.pace.Addresses, nodereport.Other: h.pace.Settle}[how])
	if h.now.Before(due) {
		h.sooner(due)
		return
	}
	if v.say.Events {
		h.events.differ(h.node.object(), h.findings, v)
	}
	h.said, h.findings = &v.status, v.all
	clear(h.unlike[:])
}

// tellHealth tells what cannot be told, and why. One request that failed is nothing: it is sent again within a second.
func (h *Herald) tellHealth(say Say) {
	var lines []string
	if h.trouble != nil && h.attempt > 1 {
		lines = append(lines, h.trouble.Error())
	}
	for _, d := range append([]duty{{name: "the node"}}, h.duties()...) {
		if r := h.refusals[d.name]; r != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", d.name, r.err))
		}
	}
	text := strings.Join(lines, "; ")
	if text == h.health && h.healthTold {
		return
	}
	h.health, h.healthTold = text, true
	if text == "" {
		h.o.Health(nil)
		return
	}
	h.o.Health(errors.New("the cluster is not told all of this node, which goes on without; it is tried again: " + text))
}
