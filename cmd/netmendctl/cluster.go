package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/cluster"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/report"
)

// clusterCommand is the flags of cluster.
type clusterCommand struct {
	env    *env
	output outputFlags

	kubeconfig, context, from string
	node, failOn              string
	timeout                   time.Duration
	quiet                     bool
}

func newCluster(e *env) *cobra.Command {
	k := &clusterCommand{env: e}
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Show all nodes of a cluster, and find what no single node sees",
		Long: `Cluster reads what netmend on each node has written to the Kubernetes API, the Nodes and kube-proxy's pods. It shows the state of each node, and finds what
no node sees by itself: who sends the bad checksums that another node counts, addresses that two nodes or pods have, pod CIDRs that overlap, MTUs and versions that
differ, tunnels that are not what flannel announced, nodes without kube-proxy. It changes nothing. What it could not read it says, and never takes for healthy.

The same program under the name kubectl-netmend is a plugin of kubectl: kubectl netmend.

It may read nodenetworkreports and nodes, and in kube-system pods and daemonsets. A kubeconfig file's exec plugin is run to log in, as kubectl does.

It ends with 0 where nothing at or above --fail-on was found, in the cluster or by a node, 1 where something was, and 2 where it could not look.`,
		Example: `  netmendctl cluster
  netmendctl cluster --context prod -o wide
  netmendctl cluster --node node1
  netmendctl cluster -o html > cluster.html
  kubectl get nodenetworkreports,nodes -o yaml > cluster.yaml; netmendctl cluster --from cluster.yaml
  ln -s netmendctl /usr/local/bin/kubectl-netmend && kubectl netmend`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return k.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&k.node, "node", "", "only what is about the node of this `NAME`, with what it reports of itself")
	flags.StringVar(&k.failOn, "fail-on", check.Warning.String(), "end with 1 for findings of this `SEVERITY` or worse: info, warning, critical")
	flags.BoolVarP(&k.quiet, "quiet", "q", false, "write no report; the exit code says it all")
	var formats []string
	for _, f := range report.ClusterFormats() {
		formats = append(formats, f.Name)
	}
	k.output.add(c, formats)
	flags.StringVar(&k.kubeconfig, "kubeconfig", "", "kubeconfig `FILE` (default: the first of $KUBECONFIG, ~/.kube/config, or in a pod its service account)")
	flags.StringVar(&k.context, "context", "", "`NAME` of the kubeconfig's context (default: its current one)")
	flags.StringVar(&k.from, "from", "", "read a `FILE` that kubectl get nodenetworkreports,nodes -o json or yaml wrote, instead of a cluster; - is standard input")
	flags.DurationVar(&k.timeout, "timeout", 2*time.Minute, "give up after this `TIME`")
	complete(c, "fail-on", words(check.Info.String(), check.Warning.String(), check.Critical.String()))
	complete(c, "context", func() []string {
		path, err := k.file()
		if err != nil || path == "" {
			return nil
		}
		names, err := kube.Contexts(path)
		if err != nil {
			return nil // a shell shows no errors
		}
		return names
	})
	complete(c, "node", func() []string { return nil })
	return c
}

func (k *clusterCommand) run(ctx context.Context) error {
	format, err := report.ParseClusterFormat(k.output.format)
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	style, err := k.output.style(k.env)
	if err != nil {
		return err
	}
	failOn, err := check.ParseSeverity(k.failOn)
	if err != nil {
		return fmt.Errorf("--fail-on: %w", err)
	}
	if k.timeout <= 0 {
		return fmt.Errorf("--timeout %s: it must be more than 0", k.timeout)
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	in, source, err := k.read(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer within %s (--timeout)", err, k.timeout)
	case err != nil:
		return err
	}
	r := cluster.Judge(in)
	if k.node != "" {
		if !slices.ContainsFunc(r.Nodes, func(s cluster.State) bool { return s.Name == k.node }) {
			return fmt.Errorf("--node: there is no node and no report %q: netmendctl cluster -o wide lists them", k.node)
		}
		r = r.Of(k.node)
	}
	doc := clusterDocument(r, source, in.Now)
	if !k.quiet {
		out := bufio.NewWriterSize(k.env.out, 64<<10) // not at once, as others do: this may be large
		if err := errors.Join(format.Write(out, doc, style), out.Flush()); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	if worst, found := doc.Worst(); found && worst >= failOn {
		return errFindings
	}
	return nil
}

// read gives what was read, and from where.
func (k *clusterCommand) read(ctx context.Context) (*cluster.Input, string, error) {
	if k.from != "" {
		if k.kubeconfig != "" || k.context != "" {
			return nil, "", errors.New("--from reads a file: it does not go with --kubeconfig or --context")
		}
		return k.readFile()
	}
	a, err := k.access(ctx)
	if err != nil {
		return nil, "", err
	}
	p := newProgress(k.env)
	stop := p.start("the cluster")
	defer stop()
	in, err := kube.ReadCluster(ctx, a, k.env.now(), func(objects int) { p.count(objects) })
	return in, a.Server, err
}

func (k *clusterCommand) readFile() (*cluster.Input, string, error) {
	in, where := k.env.in, "standard input"
	if k.from != "-" {
		f, err := os.Open(k.from)
		if err != nil {
			return nil, "", fmt.Errorf("--from: %w", err)
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && st.IsDir() {
			return nil, "", fmt.Errorf("--from: %s is a directory: give a file that kubectl get nodenetworkreports,nodes -o yaml wrote", k.from)
		}
		in, where = f, k.from
	}
	got, err := kube.DecodeClusterFile(in, k.env.now())
	if err != nil {
		return nil, "", fmt.Errorf("--from: %s: %w", where, err)
	}
	return got, where, nil
}
