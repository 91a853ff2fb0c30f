package herald

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/nodereport"
)

// Withdraw takes back all that was told of a node: its report, the condition and the startup taint. What is not there is no error. Events end by themselves.
func Withdraw(ctx context.Context, c *kube.Client, node string) error {
	err := c.Delete(ctx, reportPath(node))
	if kube.NotFound(err) {
		err = nil
	}
	return errors.Join(err, withdrawFromNode(ctx, c, node))
}

func withdrawFromNode(ctx context.Context, c *kube.Client, node string) error {
	var n nodeObject
	if err := c.Get(ctx, nodePath(node), nil, &n); err != nil {
		if kube.NotFound(err) {
			return nil
		}
		return err
	}
	if n.find(ConditionType) != nil {
		var without nodeObject
		if err := c.Patch(ctx, nodePath(node)+"/status", kube.StrategicPatch, withoutCondition(), &without); err != nil {
			return err
		}
		n = without
	}
	var err error
	for range attempts {
		if !n.tainted() {
			return nil
		}
		err = c.Patch(ctx, nodePath(node), kube.MergePatch, taintPatch(&n, slices.DeleteFunc(n.Spec.Taints, isOurs)), nil)
		if !kube.Conflict(err) {
			return err
		}
		n = nodeObject{}
		if err := c.Get(ctx, nodePath(node), nil, &n); err != nil {
			return err
		}
	}
	return err
}

// WithdrawAll does that for every node that has anything of it, and gives their number. It goes on with the other nodes where one fails.
func WithdrawAll(ctx context.Context, c *kube.Client) (nodes int, err error) {
	names := map[string]bool{}
	err = c.Each(ctx, nodesPath, func(item json.RawMessage) error {
		var n nodeObject
		if err := json.Unmarshal(item, &n); err != nil {
			return fmt.Errorf("a node in the list: %w", err)
		}
		if n.find(ConditionType) != nil || n.tainted() {
			names[n.Metadata.Name] = true
		}
		return nil
	})
	reports := c.Each(ctx, reportPath(""), func(item json.RawMessage) error {
		var r nodereport.Report
		if err := json.Unmarshal(item, &r); err != nil {
			return fmt.Errorf("a report in the list: %w", err)
		}
		names[r.Metadata.Name] = true
		return nil
	})
	if kube.NotFound(reports) { // the kind is not known any more
		reports = nil
	}
	errs := []error{err, reports}
	for name := range names {
		if ctx.Err() != nil {
			break
		}
		if err := Withdraw(ctx, c, name); err != nil {
			errs = append(errs, fmt.Errorf("node %s: %w", name, err))
			continue
		}
		nodes++
	}
	return nodes, errors.Join(append(errs, ctx.Err())...)
}
