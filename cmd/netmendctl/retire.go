//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/cniconf"
	"github.com/netmend/netmend/pkg/nodefs"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/verdict"
)

// retireCommand is the flags of retire.
type retireCommand struct {
	env         *env
	options     cniconf.Options
	root, netns string
	socket      string
	keep, stay  bool
	made        []string // directories
	wait        time.Duration
}

func newRetire(e *env) *cobra.Command {
	r := &retireCommand{env: e}
	c := &cobra.Command{
		Use:   "retire",
		Short: "Take everything of netmend off this node",
		Long: `Retire waits until netmend's daemon has ended, takes every fix back, the plugin out of the chain, and what netmend has kept in /var/lib/netmend and
/run/netmend away. The node is then as it was before netmend, faults that were mended and all. With --keep-fixes the fixes stay in force, with the journal that
netmendctl undo needs. A second run changes nothing.

It ends with 0 where nothing is left but what it names, and 2 where it could not do what was asked; what is left then can be tried again.`,
		Example: `  systemctl disable --now netmendd; netmendctl retire
  netmendctl retire --root /host --stay     # in a pod of a DaemonSet, as helm uninstall has it`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return r.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&r.keep, "keep-fixes", false, "leave fixes in force, and their journal")
	flags.DurationVar(&r.wait, "wait", time.Minute, "wait this `TIME` for the daemon to end, and for another netmend that is at work")
	flags.StringArrayVar(&r.made, "made", nil, "remove this `DIR` below --root too, and its parents, if they are empty and not older than netmend on this node (may be repeated)")
	flags.BoolVar(&r.stay, "stay", false, "do not end afterwards, until told to: for a pod of a DaemonSet")
	flags.StringVar(&r.root, "root", "", "`DIR` that holds the node's /proc, /sys, /etc, /opt, /run and /var (default /)")
	flags.StringVar(&r.netns, "netns", "", "`PATH` of the network namespace in which the node lives (default: this one)")
	flags.StringVar(&r.socket, "socket", "", "the daemon's socket, `FILE` (default "+verdict.DefaultSocket+" below --root)")
	flags.StringVar(&r.options.ConfDir, "conf-dir", cniconf.DefaultConfDir, "the runtime's CNI configuration, `DIR` below --root")
	flags.StringVar(&r.options.BinDir, "bin-dir", cniconf.DefaultBinDir, "the runtime's CNI programs, `DIR` below --root")
	return c
}

func (r *retireCommand) run(ctx context.Context) error {
	if err := r.daemonGone(ctx); err != nil {
		return err
	}
	if !r.keep {
		if err := r.undo(ctx); err != nil {
			return err
		}
	}
	if err := r.uninstall(ctx); err != nil {
		return err
	}
	if err := r.purge(); err != nil {
		return err
	}
	if err := r.say("Nothing of netmend is in force here."); err != nil || !r.stay {
		return err
	}
	<-ctx.Done() // it was told to end, which is no failure
	return nil
}

// daemonGone waits until nobody answers at the daemon's socket.
func (r *retireCommand) daemonGone(ctx context.Context) error {
	socket := r.socket
	if socket == "" {
		socket = daemonSocket(r.root)
	}
	for end := time.Now().Add(r.wait); ; {
		_, _, err := askDaemon(socket, daemonPatience)
		if errors.Is(err, errNoDaemon) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("netmendd still runs after %s and would undo this: stop it first (systemctl disable --now netmendd, or delete its DaemonSet)", r.wait)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// undo takes back what is in force. A node without a journal has nothing.
func (r *retireCommand) undo(ctx context.Context) (err error) {
	j := journalFlags{wait: r.wait}
	if _, err := os.Stat(j.path(r.root)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	m, err := j.open(ctx, r.root, r.netns, repair.Options{Who: "netmendctl retire"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	before := settledLines(m)
	undone, failed := m.UndoAll(ctx)
	if len(undone)+len(before) > 0 {
		failed = errors.Join(failed, emit(r.env.out, undoText(undone, before)))
	}
	return failed
}

// uninstall takes the plugin out of the chain. A program that pods still need stays, which is said.
func (r *retireCommand) uninstall(ctx context.Context) error {
	r.options.Root, r.options.Wait, r.options.Who = r.root, r.wait, "netmendctl retire"
	k, err := cniconf.New(r.options)
	if err != nil {
		return err
	}
	o, err := k.Uninstall(ctx)
	if err != nil {
		return err
	}
	for _, s := range o.Steps {
		if err := r.say("%s %s", s.Op, s.Path); err != nil {
			return err
		}
	}
	for _, w := range o.Warnings {
		if err := r.say("warning: %s", w); err != nil {
			return err
		}
	}
	if o.Kept != "" {
		return r.say("The program stays: %s", o.Kept)
	}
	return nil
}

// purge removes netmend's own directories, and empty ones that were made for it: they are not older than its first one, but for the seconds in which kubelet makes
// those of one pod.
func (r *retireCommand) purge() error {
	const together = 10 * time.Second
	root, state := rootOr(r.root), path.Dir(cniconf.DefaultStateDir)
	first, err := nodefs.Real(root, state)
	if err != nil {
		return err
	}
	born, unknown := nodefs.Born(first)
	dirs := []string{path.Dir(verdict.DefaultSocket), state}
	if r.keep {
		dirs[1] = cniconf.DefaultStateDir
	}
	for _, dir := range dirs {
		if err := r.remove(root, dir); err != nil {
			return err
		}
	}
	if unknown != nil { // it was removed before, or nobody knows when it was made
		return nil
	}
	for _, dir := range r.made {
		removed, err := nodefs.RemoveYounger(root, dir, born.Add(-together))
		for _, d := range removed {
			err = errors.Join(err, r.say("remove %s, which is empty", d))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *retireCommand) remove(root, dir string) error {
	at, err := nodefs.Real(root, dir)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(at); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	return r.say("remove %s", dir)
}

func (r *retireCommand) say(format string, args ...any) error {
	return emit(r.env.out, report.Printable(fmt.Sprintf(format, args...))+"\n")
}
