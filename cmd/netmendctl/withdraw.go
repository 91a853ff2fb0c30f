package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/kube/depart"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/report"
)

// withdrawCommand is the flags of withdraw.
type withdrawCommand struct {
	env             *env
	kubeconfig      string
	remove, retired string
	timeout         time.Duration
}

func newWithdraw(e *env) *cobra.Command {
	w := &withdrawCommand{env: e}
	c := &cobra.Command{
		Use:   "withdraw",
		Short: "Take back what netmend's daemons have told a cluster",
		Long: `Withdraw takes the reports, the condition NetworkMisconfigured and the startup taint of all nodes away. Daemons that still run write them again: with
--remove their DaemonSet is deleted first, and with --retired it waits until the pods of another one, which run netmendctl retire, are ready on every node that
is. The chart does all of this before helm uninstall removes anything else.

It ends with 0 where nothing is left in the cluster, and 2 where it could not do what was asked. Nodes that stay not ready cannot be cleaned: it waits for them for half of --timeout, at most 90 s, goes on without them, and names them.`,
		Example: `  netmendctl withdraw --kubeconfig ~/.kube/config
  netmendctl withdraw --remove kube-system/netmend --retired kube-system/netmend-retire`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return w.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&w.remove, "remove", "", "delete this DaemonSet first, `NAMESPACE/NAME`")
	flags.StringVar(&w.retired, "retired", "", "wait until the pods of this DaemonSet are ready, `NAMESPACE/NAME`")
	flags.StringVar(&w.kubeconfig, "kubeconfig", "", "how the API server is reached, `FILE` (default: in a pod its service account, else $KUBECONFIG)")
	flags.DurationVar(&w.timeout, "timeout", 4*time.Minute, "give up after this `TIME`")
	return c
}

// awayPatience is how long a node may be not ready, at most half of the time that there is.
const awayPatience = 90 * time.Second

func (w *withdrawCommand) run(ctx context.Context) error {
	remove, err := w.set("--remove", w.remove)
	if err != nil {
		return err
	}
	retired, err := w.set("--retired", w.retired)
	if err != nil {
		return err
	}
	c, err := w.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	if remove != nil {
		if err := depart.Remove(ctx, c, *remove); err != nil {
			return err
		}
		if err := w.say("DaemonSet %s is deleted.", remove); err != nil {
			return err
		}
	}
	var away []string
	if retired != nil {
		p, err := depart.Await(ctx, c, *retired, min(awayPatience, w.timeout/2))
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("after %s %d of %d nodes are clean, and these are not: %s: see the pods of DaemonSet %s: %w",
				w.timeout, p.Done, p.Desired, strings.Join(p.Waiting, ", "), retired, err)
		}
		if err != nil {
			return err
		}
		away = p.Away
		if err := w.say("%d of %d nodes are clean.", p.Done, p.Desired); err != nil {
			return err
		}
	}
	n, err := herald.WithdrawAll(ctx, c)
	if err != nil {
		return fmt.Errorf("take back what the daemons have told: %w", err)
	}
	if err := w.say("Reports, conditions and taints of %d nodes are taken back.", n); err != nil {
		return err
	}
	if len(away) > 0 {
		return w.say("Not ready, and therefore not clean: %s. Run netmendctl retire there when they are back.", strings.Join(away, ", "))
	}
	return nil
}

func (w *withdrawCommand) set(flag, text string) (*depart.Set, error) {
	if text == "" {
		return nil, nil
	}
	s, err := depart.ParseSet(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	return &s, nil
}

func (w *withdrawCommand) client() (*kube.Client, error) {
	path := w.kubeconfig
	if path == "" {
		a, err := kube.InCluster(w.env.getenv)
		if err == nil {
			return kube.NewClient(a)
		}
		if !errors.Is(err, kube.ErrNotInCluster) {
			return nil, err
		}
		if list := filepath.SplitList(w.env.getenv("KUBECONFIG")); len(list) > 0 {
			path = list[0]
		}
	}
	if path == "" {
		return nil, errors.New("no cluster is known: give --kubeconfig FILE or set KUBECONFIG")
	}
	a, err := kube.Kubeconfig(path)
	if err != nil {
		return nil, err
	}
	return kube.NewClient(a)
}

// say writes a line at once: who waits for minutes wants to know for what.
func (w *withdrawCommand) say(format string, args ...any) error {
	return emit(w.env.out, report.Printable(fmt.Sprintf(format, args...))+"\n")
}
