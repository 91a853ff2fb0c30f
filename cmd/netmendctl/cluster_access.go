package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/netmend/netmend/cmd/internal/build"
	"github.com/netmend/netmend/pkg/cluster"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/report"
)

// file is the kubeconfig file to read; empty where there is none, and a pod's service account is tried.
func (k *clusterCommand) file() (string, error) {
	if k.kubeconfig != "" {
		return k.kubeconfig, nil
	}
	if list := filepath.SplitList(k.env.getenv("KUBECONFIG")); len(list) > 0 && list[0] != "" {
		return list[0], nil
	}
	home := k.env.getenv("HOME")
	if home == "" {
		return "", nil
	}
	path := filepath.Join(home, ".kube", "config")
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	}
	return path, nil
}

// access finds the way to the API server, and logs in.
func (k *clusterCommand) access(ctx context.Context) (*kube.Access, error) {
	path, err := k.file()
	if err != nil {
		return nil, err
	}
	if path == "" {
		a, err := kube.InCluster(k.env.getenv)
		if errors.Is(err, kube.ErrNotInCluster) {
			return nil, errors.New("no cluster is known: give --kubeconfig FILE or set KUBECONFIG, or --from FILE for what kubectl get nodenetworkreports,nodes -o yaml wrote")
		}
		return a, err
	}
	a, login, err := kube.PersonKubeconfig(path, k.context)
	if err != nil || login == nil {
		return a, err
	}
	interactive := k.env.isTerminal(k.env.in)
	a, err = login.Run(ctx, a, kube.Terminal{Env: k.env.environ(), In: k.env.in, Err: k.env.err, Now: k.env.now(), Interactive: interactive})
	if err != nil {
		return nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return a, nil
}

// clusterDocument makes the document of what was judged.
func clusterDocument(r *cluster.Result, source string, taken time.Time) *report.Cluster {
	in := report.ClusterInput{Source: source, Taken: taken, Skipped: r.Skipped, Passed: r.Passed, Version: build.Read().Version}
	for _, c := range cluster.All() {
		in.Checks = append(in.Checks, c.Page())
	}
	for _, s := range r.Nodes {
		n := report.ClusterNode{
			Name: s.Name, State: s.State, Why: s.Why, Mode: s.Mode, Critical: s.Critical, Warning: s.Warning, Info: s.Info, Mended: s.Mended,
			Since: s.Since, Created: s.Created, Netmend: s.Netmend, Kernel: s.Kernel, CNI: s.CNI, Proxy: s.Proxy,
		}
		for _, f := range s.Findings {
			n.Findings = append(n.Findings, report.NodeFinding(f))
		}
		in.Nodes = append(in.Nodes, n)
	}
	for _, f := range r.Findings {
		in.Findings = append(in.Findings, report.ClusterFinding{Finding: f.Finding, Nodes: f.Nodes})
	}
	return report.NewCluster(in)
}
