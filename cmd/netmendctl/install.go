//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/cniconf"
	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/verdict"
)

// chainCommand is the flags of install and uninstall.
type chainCommand struct {
	env     *env
	output  outputFlags
	options cniconf.Options
	dryRun  bool
	socket  string // of the daemon that may be there
}

// chainDocument is what was done to the chain, or would be. Fields are added, never changed.
type chainDocument struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	DryRun     bool        `json:"dryRun"`
	Steps      []chainStep `json:"steps"`
	File       string      `json:"file,omitempty"`    // that the runtime uses
	Network    string      `json:"network,omitempty"` // its name
	Chain      []string    `json:"chain,omitempty"`   // the types of its plugins when all is done
	Kept       string      `json:"kept,omitempty"`    // why the program stays
	Warnings   []string    `json:"warnings"`
}

type chainStep struct {
	Op   cniconf.Op `json:"op"`
	Path string     `json:"path"`
	To   string     `json:"to,omitempty"`
	Diff string     `json:"diff,omitempty"`
}

func newInstall(e *env) *cobra.Command {
	i := &chainCommand{env: e}
	c := &cobra.Command{
		Use:   "install",
		Short: "Put the plugin into the chain of CNI plugins that every new pod goes through",
		Long: `Install copies the plugin to /opt/cni/bin and inserts it, last, into the configuration that the container runtime uses: the first usable file of
/etc/cni/net.d in the order of names. Every other byte of the file stays. A file that holds one plugin becomes a list beside it, and is kept.
A second run changes nothing. netmendctl uninstall takes all of it back. Pods that run already are not touched.

It ends with 0 where the plugin is in the chain, and 2 where it could not be put there.`,
		Example: `  netmendctl install --dry-run
  netmendctl install
  netmendctl install --plugin ./bin/netmend --root /host`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return i.install(c.Context()) },
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&i.options.Plugin, "plugin", "", "the plugin's program, `FILE` (default netmend beside this program)")
	i.add(c)
	return c
}

func newUninstall(e *env) *cobra.Command {
	u := &chainCommand{env: e}
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Take the plugin out of the chain again",
		Long: `Uninstall takes the plugin out of every CNI configuration, then removes its program. A file that nobody else has written since install gets its
bytes of before; from any other only netmend's own entry is taken. While netmend's daemon keeps the plugin in the chain nothing is done: it would put the
plugin back.

It ends with 0 where nothing of the plugin is left, 1 where its program has to stay and why is said, and 2 where it could not do what was asked.`,
		Example: `  netmendctl uninstall --dry-run
  netmendctl uninstall`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return u.uninstall(c.Context()) },
	}
	c.Flags().SortFlags = false
	u.add(c)
	c.Flags().StringVar(&u.socket, "socket", "", "the daemon's socket, `FILE` (default "+verdict.DefaultSocket+" below --root)")
	return c
}

func (i *chainCommand) add(c *cobra.Command) {
	flags := c.Flags()
	flags.BoolVar(&i.dryRun, "dry-run", false, "show what would be changed and change nothing")
	i.output.add(c, []string{"text", "json"})
	flags.StringVar(&i.options.Root, "root", "", "`DIR` that holds the node's /etc, /opt and /var (default /)")
	flags.StringVar(&i.options.ConfDir, "conf-dir", cniconf.DefaultConfDir, "the runtime's CNI configuration, `DIR` below --root")
	flags.StringVar(&i.options.BinDir, "bin-dir", cniconf.DefaultBinDir, "the runtime's CNI programs, `DIR` below --root")
	flags.DurationVar(&i.options.Wait, "wait", 10*time.Second, "wait this `TIME` for another netmend that is at work")
}

func (i *chainCommand) install(ctx context.Context) error {
	if i.options.Plugin == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w: give --plugin", err)
		}
		i.options.Plugin = filepath.Join(filepath.Dir(self), "netmend")
	}
	if _, err := os.Stat(i.options.Plugin); err != nil {
		return fmt.Errorf("%w: give the plugin's program with --plugin", err)
	}
	k, err := i.keeper("install")
	if err != nil {
		return err
	}
	do := k.Install
	if i.dryRun {
		do = k.PlanInstall
	}
	o, failed := do(ctx)
	if errors.Is(failed, cniconf.ErrNoConfig) && !i.dryRun {
		failed = fmt.Errorf("%w, then run this again; the program is in its place", failed)
	}
	return i.finish("InstallReport", o, failed)
}

func (i *chainCommand) uninstall(ctx context.Context) error {
	k, err := i.keeper("uninstall")
	if err != nil {
		return err
	}
	kept := i.keptByDaemon()
	if kept != nil && !i.dryRun {
		return kept
	}
	var o *cniconf.Outcome
	var failed error
	if i.dryRun {
		o, failed = k.PlanUninstall()
		if kept != nil {
			o.Warnings = append(o.Warnings, kept.Error())
		}
	} else {
		o, failed = k.Uninstall(ctx)
	}
	if failed == nil && o.Kept != "" {
		failed = errFindings
	}
	return i.finish("UninstallReport", o, failed)
}

// daemonPatience is how long a daemon has to say whether it keeps the chain.
const daemonPatience = 5 * time.Second

// keptByDaemon says why it is of no use to take the plugin out: a daemon would put it back within a second. One that listens and does not answer might.
func (i *chainCommand) keptByDaemon() error {
	socket := i.socket
	if socket == "" {
		socket = daemonSocket(i.options.Root)
	}
	d, _, err := askDaemon(socket, daemonPatience)
	switch {
	case errors.Is(err, errNoDaemon):
		return nil
	case err != nil:
		return fmt.Errorf("ask netmendd whether it keeps the plugin in the chain: %w: stop it first (systemctl stop netmendd)", err)
	case d.Chain.Kept:
		return errors.New("netmendd runs here and would put the plugin back: stop it first (systemctl stop netmendd), or set chain.keep to false in its configuration")
	}
	return nil
}

func (i *chainCommand) keeper(who string) (*cniconf.Keeper, error) {
	if err := i.output.known("text", "json"); err != nil {
		return nil, err
	}
	i.options.Who = "netmendctl " + who
	return cniconf.New(i.options)
}

// finish writes what was done; a failure's own words come after.
func (i *chainCommand) finish(kind string, o *cniconf.Outcome, failed error) error {
	if failed != nil && !errors.Is(failed, errFindings) && !o.Changed() && len(o.Warnings) == 0 {
		return failed // there is nothing else to tell
	}
	style, err := i.output.style(i.env)
	if err != nil {
		return err
	}
	d := chainDocument{
		APIVersion: report.APIVersion, Kind: kind, DryRun: i.dryRun, Steps: []chainStep{}, File: o.File, Network: o.Network, Chain: o.Chain,
		Kept: o.Kept, Warnings: append([]string{}, o.Warnings...),
	}
	for _, s := range o.Steps {
		step := chainStep{Op: s.Op, Path: s.Path, To: s.To}
		if s.Op == cniconf.Write {
			step.Diff = diff(s.Path, s.Old, s.New)
		}
		d.Steps = append(d.Steps, step)
	}
	if i.output.format == "json" {
		return errors.Join(emitJSON(i.env, d), failed)
	}
	return errors.Join(emit(i.env.out, chainText(&d, style)), failed)
}
