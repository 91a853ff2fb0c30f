//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/kube/depart"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/report"
)

// withdrawDocument says what was taken out of a cluster. Fields are added, never changed.
type withdrawDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Nodes      int    `json:"nodes"` // that had anything

	Clean    int      `json:"clean,omitempty"`    // nodes that netmend was taken off, where that was waited for
	NotReady []string `json:"notReady,omitempty"` // nodes that nobody could take it off
}

// departure is what happens in a cluster before what the nodes have told it is taken away.
type departure struct {
	remove, retired string // DaemonSets
	timeout         time.Duration
}

func (d *departure) add(flags *pflag.FlagSet) {
	flags.StringVar(&d.remove, "remove", "", "with --cluster: delete this DaemonSet first, `NAMESPACE/NAME`")
	flags.StringVar(&d.retired, "retired", "", "with --cluster: wait until the pods of this DaemonSet, which run netmendctl retire, are ready on every node that is, `NAMESPACE/NAME`")
	flags.DurationVar(&d.timeout, "timeout", 4*time.Minute, "with --cluster: give up after this `TIME`")
}

// begin deletes the daemons' DaemonSet and waits for the nodes. Those that are not ready are not waited for.
func (d *departure) begin(ctx context.Context, c *kube.Client) (p depart.Progress, err error) {
	if d.remove != "" {
		set, err := depart.ParseSet(d.remove)
		if err != nil {
			return p, fmt.Errorf("--remove: %w", err)
		}
		if err := depart.Remove(ctx, c, set); err != nil {
			return p, err
		}
	}
	if d.retired == "" {
		return p, nil
	}
	set, err := depart.ParseSet(d.retired)
	if err != nil {
		return p, fmt.Errorf("--retired: %w", err)
	}
	p, err = depart.Await(ctx, c, set)
	if errors.Is(err, context.DeadlineExceeded) {
		return p, fmt.Errorf("after %s %d of %d nodes are clean, and these are not: %s: see the pods of DaemonSet %s: %w",
			d.timeout, p.Done, p.Desired, strings.Join(p.Waiting, ", "), set, err)
	}
	return p, err
}

// withdraw takes out of the cluster what the daemons of its nodes have told it.
func (i *chainCommand) withdraw(ctx context.Context) error {
	if err := i.output.known("text", "json"); err != nil {
		return err
	}
	if i.dryRun {
		return errors.New("--dry-run is about this node: it does not go with --cluster")
	}
	a, err := i.access()
	if err != nil {
		return err
	}
	c, err := kube.NewClient(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, i.departure.timeout)
	defer cancel()
	p, err := i.departure.begin(ctx, c)
	if err != nil {
		return err
	}
	nodes, failed := herald.WithdrawAll(ctx, c)
	d := withdrawDocument{APIVersion: report.APIVersion, Kind: "WithdrawReport", Nodes: nodes, Clean: p.Done, NotReady: p.Away}
	if i.output.format == "json" {
		return errors.Join(emitJSON(i.env, d), failed)
	}
	return errors.Join(emit(i.env.out, withdrawText(&d, i.departure.retired != "")), failed)
}

func withdrawText(d *withdrawDocument, waited bool) string {
	text := fmt.Sprintf("nodes whose report, condition or taint was taken away: %d\n", d.Nodes)
	if waited {
		text += fmt.Sprintf("nodes that netmend was taken off: %d\n", d.Clean)
	}
	if len(d.NotReady) > 0 {
		text += "not ready, and therefore not clean: " + report.Printable(strings.Join(d.NotReady, ", ")) + ": run netmendctl retire there when they are back\n"
	}
	return text
}

// access finds the way to the API server: in a pod by its service account, else by a kubeconfig file as kubectl finds it.
func (i *chainCommand) access() (*kube.Access, error) {
	path := i.kubeconfig
	if path == "" {
		a, err := kube.InCluster(i.env.getenv)
		if !errors.Is(err, kube.ErrNotInCluster) {
			return a, err
		}
		if list := filepath.SplitList(i.env.getenv("KUBECONFIG")); len(list) > 0 {
			path = list[0]
		}
	}
	if path == "" {
		return nil, errors.New("no cluster is known: give --kubeconfig FILE or set KUBECONFIG")
	}
	return kube.Kubeconfig(path)
}
