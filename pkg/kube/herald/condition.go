package herald

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// conditionState is what is known of the condition beside what the Node holds.
type conditionState struct {
	ours   bool      // this process wants it there
	beatAt time.Time // when it is written again though nothing changed
}

// conditionOf says in a condition what a report says. True is bad, as for the conditions of kubelet and of node-problem-detector.
func conditionOf(s *nodereport.Status, node string) nodeCondition {
	more := "; see: kubectl get nnr " + node + " -o yaml"
	c := nodeCondition{Type: ConditionType}
	switch s.State {
	case status.Faulty:
		c.Status, c.Reason, c.Message = "True", "NetworkFaulty", "something critical is wrong"
		if len(s.Findings) > 0 && s.Findings[0].Severity == check.Critical {
			c.Message = s.Findings[0].Check + ": " + s.Findings[0].Message
		}
		if s.Critical > 1 {
			c.Message = fmt.Sprintf("%s; and %d more", c.Message, s.Critical-1)
		}
		c.Message += more
	case status.Proven:
		c.Status, c.Reason, c.Message = "False", "NetworkProven", "the node was audited, and nothing critical was found"
		if s.Warning > 0 {
			c.Message += "; there are warnings" + more
		}
	case status.Unproven:
		c.Status, c.Reason, c.Message = "Unknown", "NetworkUnproven", "nothing critical was found in what could be read of the node, which was not all"+more
	default:
		c.Status, c.Reason, c.Message = "Unknown", "NetmendStarting", "the node is not audited yet"
	}
	return c
}

// tellCondition sets the condition where the Node has another or none, and now and then though nothing has changed.
func (h *Herald) tellCondition(ctx context.Context, v *view) error {
	is := h.node.find(ConditionType)
	if !v.say.Condition {
		if h.condition.ours && is != nil {
			var n nodeObject
			if err := h.o.Client.Patch(ctx, nodePath(h.o.Node)+"/status", kube.StrategicPatch, withoutCondition(), &n); err != nil {
				return err
			}
			h.node = n
		}
		h.condition.ours = false
		return nil
	}
	if h.said == nil {
		return nil
	}
	h.condition.ours = true
	want := conditionOf(h.said, h.o.Node)
	now := h.now.UTC().Truncate(time.Second)
	want.Heartbeat, want.Transition = now, now
	if is != nil && is.Status == want.Status {
		want.Transition = is.Transition
		if h.condition.beatAt.IsZero() { // an earlier process has written it; nodes beat one after another
			h.condition.beatAt = is.Heartbeat.Add(h.beat())
		}
		if is.Reason == want.Reason && nodereport.Words(is.Message) == nodereport.Words(want.Message) && h.now.Before(h.condition.beatAt) {
			h.sooner(h.condition.beatAt)
			return nil
		}
	}
	var n nodeObject
	patch := map[string]any{"status": map[string]any{"conditions": []nodeCondition{want}}}
	if err := h.o.Client.Patch(ctx, nodePath(h.o.Node)+"/status", kube.StrategicPatch, patch, &n); err != nil {
		return err
	}
	h.node = n
	h.condition.beatAt = h.now.Add(h.beat())
	return nil
}

// beat is the time between two heartbeats.
func (h *Herald) beat() time.Duration {
	return h.pace.Heartbeat*9/10 + rand.N(h.pace.Heartbeat/5+1)
}

// withoutCondition is the patch that takes the condition away and leaves those of others: conditions have the patch merge key type (k8s.io/api/core/v1).
func withoutCondition() any {
	return map[string]any{"status": map[string]any{"conditions": []any{map[string]string{"$patch": "delete", "type": ConditionType}}}}
}
