package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/report"
)

// The exit codes of every command; node-problem-detector uses the same three.
const (
	exitFine     = 0
	exitFindings = 1
	exitFailed   = 2
)

// errFindings says that the audit worked and found something; its report has been written.
var errFindings = errors.New("findings at or above --fail-on")

// run is the program without the process: it gives the exit code.
func run(ctx context.Context, e *env) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := execute(ctx, e)
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.Is(err, context.Canceled):
		err = fmt.Errorf("interrupted: %w", err)
	}
	_, _ = fmt.Fprintf(e.err, "%s: %s\n", e.caller(), report.Printable(err.Error())) // nobody is left to tell
	return exitFailed
}

func execute(ctx context.Context, e *env) error {
	if e.suite == nil {
		suite, err := audit.Default()
		if err != nil {
			return err
		}
		e.suite = suite
	}
	if isPlugin(e.name) {
		e.args = pluginArgs(e.name, e.args)
	}
	return newRoot(e).ExecuteContext(ctx)
}

// newRoot is the tree of commands.
func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "netmendctl",
		Short: "Tell what is wrong with the pod network of a Kubernetes node",
		Long: `netmendctl tells what is wrong with the pod network of a Kubernetes node, what proves it, and what would mend it.

It ends with 0 where nothing was found, 1 where something was, and 2 where it could not do what was asked.`,
		Example: `  netmendctl audit                      # this node, as root
  netmendctl snapshot -f node1.json     # take its facts home
  netmendctl audit --from node1.json    # and judge them there`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
		SuggestionsMinimumDistance: 2, SilenceErrors: true, SilenceUsage: true, DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetArgs(e.args)
	root.SetIn(e.in)
	root.SetOut(e.out)
	root.SetErr(e.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%s: %w: see %s --help", c.Name(), err, c.CommandPath())
	})
	root.AddCommand(newAudit(e), newCluster(e), newService(e), newSnapshot(e), newChecks(e), newExplain(e), newWithdraw(e), newVersion(e), newCompletion(e), newMan(e))
	root.AddCommand(mendCommands(e)...)
	for _, c := range root.Commands() {
		prefixErrors(c)
	}
	return root
}

// prefixErrors makes a command's errors say which command failed.
func prefixErrors(c *cobra.Command) {
	inner := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		err := inner(c, args)
		if err == nil || errors.Is(err, errFindings) {
			return err
		}
		return fmt.Errorf("%s: %w", c.Name(), err)
	}
}

func unknownCommand(root *cobra.Command, name string) error {
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q: did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q: see netmendctl --help", name)
}

// noArguments refuses arguments.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s: unexpected argument %q: see %s --help", c.Name(), args[0], c.CommandPath())
}

// emit writes what a command has made, at once: a command that fails leaves no half document.
func emit(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
