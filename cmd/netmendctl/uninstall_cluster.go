//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/report"
)

// withdrawDocument says what was taken out of a cluster. Fields are added, never changed.
type withdrawDocument struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Nodes      int    `json:"nodes"` // that had anything
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
	nodes, failed := herald.WithdrawAll(ctx, c)
	if i.output.format == "json" {
		return errors.Join(emitJSON(i.env, withdrawDocument{report.APIVersion, "WithdrawReport", nodes}), failed)
	}
	return errors.Join(emit(i.env.out, fmt.Sprintf("nodes whose report, condition or taint was taken away: %d\n", nodes)), failed)
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
