package herald

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/kube"
)

// taintState is what is known of the taint beside what the Node holds.
type taintState struct {
	on      bool      // this process looks after it
	tryAt   time.Time // before when it is not taken
	proofAt time.Time // when to look whether too many nodes took it at once; zero: not
}

// share is which part of a cluster's nodes may have the taint: one in so many.
const share = 10

// tellTaint takes the taint away where the node has passed, and takes it where the node is barred and the cluster can spare it.
func (h *Herald) tellTaint(ctx context.Context, v *view) error {
	if !v.say.Taint {
		if h.taint.on && h.node.tainted() { // it would stay forever
			if err := h.writeTaint(ctx, false); err != nil {
				return err
			}
		}
		h.taint = taintState{}
		return nil
	}
	h.taint.on = true
	if settled := h.gateAt.Add(h.pace.Settle); h.now.Before(settled) {
		h.sooner(settled)
		return nil
	}
	switch {
	case h.gate.Pass && h.node.tainted():
		h.log.Info("startup taint removed: the node is proven")
		h.taint.proofAt = time.Time{}
		return h.writeTaint(ctx, false)
	case h.node.tainted() && !h.taint.proofAt.IsZero():
		return h.proveTaint(ctx)
	case h.gate.Bar && !h.node.tainted():
		return h.takeTaint(ctx)
	}
	return nil
}

// takeTaint takes the taint if the cluster can spare the node. Nodes that fail together ask one after another, at random.
func (h *Herald) takeTaint(ctx context.Context) error {
	if h.taint.tryAt.IsZero() {
		h.taint.tryAt = h.now.Add(rand.N(h.pace.Proof))
	}
	if h.now.Before(h.taint.tryAt) {
		h.sooner(h.taint.tryAt)
		return nil
	}
	h.taint.tryAt = h.now.Add(h.pace.Taint + rand.N(h.pace.Taint))
	c, err := h.census(ctx)
	if err != nil {
		return err
	}
	if why := c.spare(h.o.Node); why != "" {
		h.log.Warn("startup taint not taken", "because", why, "finding", h.gate.Why)
		return nil
	}
	h.log.Warn("startup taint taken", "finding", h.gate.Why)
	h.taint.proofAt = h.now.Add(h.pace.Proof)
	return h.writeTaint(ctx, true)
}

// proveTaint gives the taint back where several nodes took it at once and now there are too many.
func (h *Herald) proveTaint(ctx context.Context) error {
	if h.now.Before(h.taint.proofAt) {
		h.sooner(h.taint.proofAt)
		return nil
	}
	c, err := h.census(ctx)
	if err != nil {
		return err
	}
	h.taint.proofAt = time.Time{}
	if c.keeps(h.o.Node) {
		return nil
	}
	h.log.Warn("startup taint given back: too many nodes have it")
	return h.writeTaint(ctx, false)
}

// writeTaint adds or removes the taint. The others are written as they were read, and only if nobody has written the Node since.
func (h *Herald) writeTaint(ctx context.Context, has bool) error {
	var err error
	for range attempts {
		var n nodeObject
		if err = h.o.Client.Get(ctx, nodePath(h.o.Node), nil, &n); err != nil {
			return err
		}
		if h.node = n; n.tainted() == has {
			return nil
		}
		if err = h.patchTaints(ctx, &n, has); err == nil || !kube.Conflict(err) {
			return err
		}
	}
	return err
}

func (h *Herald) patchTaints(ctx context.Context, n *nodeObject, has bool) error {
	taints := slices.DeleteFunc(slices.Clone(n.Spec.Taints), isOurs)
	if has {
		taints = append(taints, json.RawMessage(`{"key":"`+TaintKey+`","effect":"`+taintEffect+`"}`))
	}
	var written nodeObject
	if err := h.o.Client.Patch(ctx, nodePath(h.o.Node), kube.MergePatch, taintPatch(n, taints), &written); err != nil {
		return err
	}
	h.node = written
	return nil
}

// taintPatch replaces the taints of a Node as it was read.
func taintPatch(n *nodeObject, taints []json.RawMessage) any {
	return map[string]any{
		"metadata": map[string]string{"resourceVersion": n.Metadata.ResourceVersion}, "spec": map[string]any{"taints": taints},
	}
}
