//go:build linux

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/cmd/internal/build"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/serve"
)

// The exit codes.
const (
	exitFine   = 0 // it was told to end, or printed what was asked for
	exitFailed = 2
)

// env is everything outside of the program that it uses.
type env struct {
	args     []string // without the program's name
	out, err io.Writer
	getenv   func(string) string
	hup      chan os.Signal // SIGHUP
}

func systemEnv() *env {
	e := &env{args: os.Args[1:], out: os.Stdout, err: os.Stderr, getenv: os.Getenv, hup: make(chan os.Signal, 1)}
	signal.Notify(e.hup, syscall.SIGHUP)
	return e
}

// flags are those of the command line; the rest is in the configuration.
type flags struct {
	root, netns, config, mode, plugin, socket, nodeState string
	nodeName, envNodeName                                string // the latter is $NODE_NAME
	check                                                bool
}

// run is the program without the process: it gives the exit code.
func run(ctx context.Context, e *env) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := newRoot(e).ExecuteContext(ctx); err != nil {
		_, _ = fmt.Fprintf(e.err, "netmendd: %s\n", report.Printable(err.Error())) // nobody is left to tell
		return exitFailed
	}
	return exitFine
}

func newRoot(e *env) *cobra.Command {
	f := &flags{envNodeName: e.getenv("NODE_NAME")}
	c := &cobra.Command{
		Use:   "netmendd",
		Short: "Look after the pod network of a Kubernetes node",
		Long: `netmendd audits the pod network of the node that it runs on, when it starts and whenever the kernel tells of a change, and says what is wrong. In
mode fix it also mends what is safe to mend, and keeps netmend's CNI plugin in the chain; netmendctl undo takes each change back. In mode audit, the
default, it changes nothing and says what it would do. netmendctl status asks it.

It needs root. It ends with 0 when it is told to end, and 2 where it could not begin.`,
		Example: `  netmendd                              # audit
  netmendd --mode fix
  netmendd --check-config --config netmend.yaml
  netmendd --root /host --netns /host/proc/1/ns/net`,
		Version: build.Read().String(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unexpected argument %q: see netmendd --help", args[0])
			}
			return nil
		},
		RunE:         func(c *cobra.Command, _ []string) error { return f.run(c.Context(), e) },
		SilenceUsage: true, SilenceErrors: true, CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	c.SetArgs(e.args)
	c.SetOut(e.out)
	c.SetErr(e.err)
	c.SetVersionTemplate("netmendd {{.Version}}\n")
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.root, "root", "", "`DIR` that holds the node's /proc, /sys, /etc, /opt, /run and /var (default /)")
	flags.StringVar(&f.netns, "netns", "", "`PATH` of the network namespace in which the node lives (default: this one)")
	flags.StringVar(&f.config, "config", "", "the configuration, `FILE` (default "+config.DefaultPath+" below --root; one that does not exist is empty)")
	flags.StringVar(&f.mode, "mode", "", "audit or fix, whatever the configuration says")
	flags.StringVar(&f.nodeName, "node-name", "", "the node's `NAME` in Kubernetes (default: as the configuration says, or else $NODE_NAME, or else the node's own)")
	flags.StringVar(&f.plugin, "plugin", "", "the CNI plugin's program, `FILE` (default netmend beside this program)")
	flags.StringVar(&f.socket, "socket", "", "the socket, `FILE` (default: as the configuration says, below --root)")
	flags.StringVar(&f.nodeState, "node-state", "", "where the node's state is written for others, `FILE` (default "+serve.DefaultNodeState+" below --root)")
	flags.BoolVar(&f.check, "check-config", false, "say whether the configuration is right, and do nothing")
	return c
}

// below gives a path of the node.
func (f *flags) below(path string) string { return filepath.Join("/", f.root, path) }

// configPath is where the configuration is.
func (f *flags) configPath() string {
	if f.config != "" {
		return f.config
	}
	return f.below(config.DefaultPath)
}

// nodeStatePath is where the node's state is written.
func (f *flags) nodeStatePath() string {
	if f.nodeState != "" {
		return f.nodeState
	}
	return f.below(serve.DefaultNodeState)
}

// apply gives the configuration with what the flags say of it.
func (f *flags) apply(c *config.Config) (*config.Config, error) {
	with := *c
	switch config.Mode(f.mode) {
	case "":
	case config.Audit, config.Fix:
		with.Mode = config.Mode(f.mode)
	default:
		return nil, fmt.Errorf("--mode %q: it is audit or fix", f.mode)
	}
	for _, n := range []struct{ from, name string }{{"--node-name", f.nodeName}, {"$NODE_NAME", f.envNodeName}} {
		if n.name == "" {
			continue
		}
		if err := config.NodeName(n.name); err != nil {
			return nil, fmt.Errorf("%s: %w", n.from, err)
		}
	}
	with.Kubernetes.Node = cmp.Or(f.nodeName, c.Kubernetes.Node, f.envNodeName)
	return &with, nil
}

// settings are those of the surfaces.
func (f *flags) settings(c *config.Config) serve.Settings {
	s := serve.Settings{Socket: c.Socket, Listen: c.Listen, Hosts: c.Hosts}
	switch {
	case f.socket != "":
		s.Socket = f.socket
	case s.Socket != "":
		s.Socket = f.below(s.Socket)
	}
	return s
}

// pluginPath is the plugin's program; empty where there is none beside this one.
func (f *flags) pluginPath() (string, error) {
	if f.plugin != "" {
		return f.plugin, nil
	}
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w: give --plugin", err)
	}
	if path := filepath.Join(filepath.Dir(self), "netmend"); exists(path) {
		return path, nil
	}
	return "", nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
