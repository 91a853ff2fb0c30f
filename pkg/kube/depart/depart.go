// Package depart takes netmend out of a cluster in the right order: the daemons end, each node is cleaned by a pod of a second DaemonSet, and only then is what
// the daemons have told the cluster taken back, because one that still runs would tell it again.
package depart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/kube"
)

// pause is how long to wait before the API server is asked again.
const pause = 2 * time.Second

// Set names a DaemonSet.
type Set struct{ Namespace, Name string }

// ParseSet reads NAMESPACE/NAME.
func ParseSet(s string) (Set, error) {
	namespace, name, found := strings.Cut(s, "/")
	for _, part := range []string{namespace, name} {
		if !found || part == "" || len(part) > 253 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(part, ".") == "" {
			return Set{}, fmt.Errorf("%q is not NAMESPACE/NAME of a DaemonSet", s)
		}
	}
	return Set{namespace, name}, nil
}

func (s Set) String() string { return s.Namespace + "/" + s.Name }

func (s Set) path() string {
	return "/apis/apps/v1/namespaces/" + s.Namespace + "/daemonsets/" + s.Name
}

// Remove deletes a DaemonSet, whose pods then end one after another. One that is not there is no error.
func Remove(ctx context.Context, c *kube.Client, s Set) error {
	if err := c.Delete(ctx, s.path()); err != nil && !kube.NotFound(err) {
		return fmt.Errorf("delete DaemonSet %s: %w", s, err)
	}
	return nil
}

// daemonSet is what of a DaemonSet is read.
type daemonSet struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Spec struct {
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
	} `json:"spec"`
	Status struct {
		Observed int64 `json:"observedGeneration"`
		Desired  int   `json:"desiredNumberScheduled"`
	} `json:"status"`
}

// object is what of a Pod or a Node is read.
type object struct {
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Spec struct {
		NodeName string `json:"nodeName"`
	} `json:"spec"`
	Status struct {
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
	} `json:"status"`
}

func (o *object) ready() bool {
	return slices.ContainsFunc(o.Status.Conditions, func(c struct {
		Type   string `json:"type"`
		Status string `json:"status"`
	}) bool {
		return c.Type == "Ready" && c.Status == "True"
	})
}

// Progress is how far the nodes are.
type Progress struct {
	Known   bool     // the DaemonSet's controller has counted the nodes
	Desired int      // nodes that are to have a pod
	Done    int      // nodes whose pod is ready
	Waiting []string // nodes whose pod is not, by name
	Away    []string // nodes whose pod is not ready because the node is not: nobody can clean them now
}

// Over says whether nothing is left to wait for.
func (p *Progress) Over() bool {
	return p.Known && p.Done+len(p.Away) >= p.Desired && len(p.Waiting) == 0
}

// Await waits until each node that can have one has a ready pod of the DaemonSet. For nodes that are not ready it waits as long as its patience lasts: many are
// so for a moment only, as when kubelet is restarted. What it saw last is given with an error too: that of the context. An API server that does not answer is asked
// again.
func Await(ctx context.Context, c *kube.Client, s Set, patience time.Duration) (p Progress, err error) {
	var last error
	for begin := time.Now(); ; {
		now, err := look(ctx, c, s)
		if err == nil {
			p, last = now, nil
		} else if last = err; kube.Refused(err) {
			return p, err
		}
		if last == nil && p.Over() && (len(p.Away) == 0 || time.Since(begin) >= patience) {
			return p, nil
		}
		select {
		case <-ctx.Done():
			return p, errors.Join(ctx.Err(), last)
		case <-time.After(pause):
		}
	}
}

func look(ctx context.Context, c *kube.Client, s Set) (p Progress, err error) {
	var d daemonSet
	if err := c.Get(ctx, s.path(), nil, &d); err != nil {
		return p, fmt.Errorf("read DaemonSet %s: %w", s, err)
	}
	p.Known, p.Desired = d.Status.Observed > 0 && d.Status.Observed >= d.Metadata.Generation, d.Status.Desired
	ready := map[string]bool{}
	err = c.Each(ctx, "/api/v1/nodes", func(item json.RawMessage) error {
		var n object
		err := json.Unmarshal(item, &n)
		ready[n.Metadata.Name] = n.ready()
		return err
	})
	if err != nil {
		return p, fmt.Errorf("read the nodes: %w", err)
	}
	var labels []string
	for k, v := range d.Spec.Selector.MatchLabels {
		labels = append(labels, k+"="+v)
	}
	if len(labels) == 0 {
		return p, fmt.Errorf("DaemonSet %s selects no pods by labels", s)
	}
	err = c.EachLabelled(ctx, "/api/v1/namespaces/"+s.Namespace+"/pods", strings.Join(labels, ","), func(item json.RawMessage) error {
		var pod object
		if err := json.Unmarshal(item, &pod); err != nil {
			return err
		}
		switch node := pod.Spec.NodeName; {
		case pod.ready():
			p.Done++
		case node != "" && !ready[node]:
			p.Away = append(p.Away, node)
		default:
			p.Waiting = append(p.Waiting, node)
		}
		return nil
	})
	if err != nil {
		return p, fmt.Errorf("read the pods of DaemonSet %s: %w", s, err)
	}
	slices.Sort(p.Waiting)
	slices.Sort(p.Away)
	return p, nil
}
