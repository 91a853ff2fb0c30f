package herald

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
)

// taintState is what is known of the taint beside what the Node holds.
type taintState struct {
	on      bool      // this process looks after it
	tryAt   time.Time // before when it is not taken
	claimed bool      // the report may hold a claim
}

// share is which part of a cluster's nodes may have the taint: one in so many.
const share = 10

// A node that would take the taint first writes into its report that it would, and then counts the others. Each that has claimed or taken it before is counted: of
// several nodes the one that claims last sees all others, so that never more have it than may. Two that claim at the same moment both step back.
const (
	claimHolds  = 30 * time.Second // after it has claimed a node takes the taint within this time, or not
	claimCounts = 5 * time.Minute  // so long others count it: the clocks of nodes differ, and one that has crashed does not count forever
)

// tellTaint takes the taint away where the node has passed, and takes it where the node is barred and the cluster can spare it.
func (h *Herald) tellTaint(ctx context.Context, v *view) error {
	if h.taint.claimed {
		if err := h.unclaim(ctx); err != nil {
			return err
		}
	}
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
		return h.writeTaint(ctx, false)
	case h.gate.Bar && !h.node.tainted():
		return h.takeTaint(ctx)
	}
	return nil
}

// takeTaint takes the taint if the cluster can spare the node. Nodes that fail together ask one after another, at random.
func (h *Herald) takeTaint(ctx context.Context) error {
	if h.taint.tryAt.IsZero() {
		h.taint.tryAt = h.now.Add(rand.N(h.pace.Spread))
	}
	if h.now.Before(h.taint.tryAt) {
		h.sooner(h.taint.tryAt)
		return nil
	}
	h.taint.tryAt = h.now.Add(h.pace.Taint + rand.N(h.pace.Taint))
	h.sooner(h.taint.tryAt)
	if spared, err := h.spared(ctx); err != nil || !spared {
		return err
	}
	if h.report.there == nil {
		h.log.Warn("startup taint not taken", "because", "the node has no report, in which other nodes see that it is about to")
		return nil
	}
	h.taint.claimed = true
	at := h.clock.Now()
	if err := h.claim(ctx, map[string]string{nodereport.ClaimLabel: strconv.FormatInt(at.Unix(), 10)}); err != nil {
		return err
	}
	spared, err := h.spared(ctx)
	switch {
	case err != nil:
		return err
	case !spared || h.clock.Now().Sub(at) > claimHolds:
		return h.unclaim(ctx)
	}
	h.log.Warn("startup taint taken", "finding", h.gate.Why)
	return errors.Join(h.writeTaint(ctx, true), h.unclaim(ctx)) // in this order: others must always see one of them
}

// spared says whether the cluster can spare the node.
func (h *Herald) spared(ctx context.Context) (bool, error) {
	c, err := h.census(ctx)
	if err != nil {
		return false, err
	}
	why := c.spare(h.o.Node)
	if why != "" {
		h.log.Warn("startup taint not taken", "because", why, "finding", h.gate.Why)
	}
	return why == "", nil
}

// unclaim takes the claim away. A report that somebody has written or deleted meanwhile is read and written again with the next look.
func (h *Herald) unclaim(ctx context.Context) error {
	if h.report.there == nil {
		h.taint.claimed = false
		return nil
	}
	err := h.claim(ctx, nil)
	if h.taint.claimed = err != nil; kube.Conflict(err) || kube.NotFound(err) {
		err = h.lookAtReport(ctx)
	}
	return err
}

// claim writes the labels of the report that is there.
func (h *Herald) claim(ctx context.Context, labels map[string]string) error {
	r := *h.report.there
	r.Metadata.Labels = labels
	var written nodereport.Report
	if err := h.o.Client.Replace(ctx, reportPath(h.o.Node), &r, &written); err != nil {
		return err
	}
	r.Metadata = written.Metadata
	h.report.there = &r
	return nil
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
		"metadata": map[string]any{"resourceVersion": n.Metadata.ResourceVersion}, "spec": map[string]any{"taints": taints},
	}
}
