//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/pkg/verdict"
)

// errUnproven says that the daemon has answered and has not audited the node yet.
var errUnproven = errors.New("the node was not audited yet: ask again in a moment")

// statusCommand is the flags of status.
type statusCommand struct {
	env          *env
	output       outputFlags
	socket, root string
	wait         time.Duration
}

func newStatus(e *env) *cobra.Command {
	s := &statusCommand{env: e}
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell what netmend's daemon knows of this node and does about it",
		Long: `Status asks netmendd on this node: whether the node is proven, what is wrong with it and since when, what is done about that, which fixes are in
force or contested, whether the plugin is in the chain, what the plugin has warned of lately, and what the daemon itself lacks. It changes nothing and
reads nothing of the node itself; netmendctl audit does, and asks nobody.

It ends with 0 where the node is proven, 1 where something critical is left, and 2 where the daemon could not be asked or does not know yet.`,
		Example: `  netmendctl status
  netmendctl status -o json
  netmendctl status -o yaml --socket /run/netmend/netmend.sock`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error { return s.run() },
	}
	flags := c.Flags()
	flags.SortFlags = false
	s.output.add(c, []string{"text", "json", "yaml"})
	flags.StringVar(&s.socket, "socket", "", "the daemon's socket, `FILE` (default "+verdict.DefaultSocket+" below --root)")
	flags.StringVar(&s.root, "root", "", "`DIR` that holds the node's /run (default /)")
	flags.DurationVar(&s.wait, "wait", 5*time.Second, "wait this `TIME` for the answer")
	return c
}

func (s *statusCommand) run() error {
	if err := s.output.known("text", "json", "yaml"); err != nil {
		return err
	}
	style, err := s.output.style(s.env)
	if err != nil {
		return err
	}
	if s.wait <= 0 {
		return fmt.Errorf("--wait %s: it must be more than 0", s.wait)
	}
	if s.socket == "" {
		s.socket = daemonSocket(s.root)
	}
	d, raw, err := askDaemon(s.socket, s.wait)
	if err != nil {
		return err
	}
	switch s.output.format {
	case "json":
		err = emitJSON(s.env, json.RawMessage(raw))
	case "yaml":
		if raw, err = yaml.JSONToYAML(raw); err == nil {
			err = emit(s.env.out, string(raw))
		}
	default:
		page := statusPage{mendPage: mendPage{style: style}, now: s.env.now(), d: d}
		err = emit(s.env.out, page.text())
	}
	switch {
	case err != nil:
		return err
	case d.State == status.Proven:
		return nil
	case d.State == status.Faulty:
		return errFindings
	case d.State == status.Unproven:
		return errors.New("nothing critical was found, but part of the node could not be read: see the condition node-read")
	case d.State == status.Stopping:
		return errors.New("the daemon ends")
	}
	return errUnproven
}

// daemonSocket is where the daemon of the node below a root listens as a rule.
func daemonSocket(root string) string { return filepath.Join(rootOr(root), verdict.DefaultSocket) }

// errNoDaemon says that nobody answers, and what to do about it.
var errNoDaemon = errors.New("no daemon answers")

// askDaemon gives the daemon's document, decoded and as it came. Keys that are not known are those of a newer daemon.
func askDaemon(socket string, wait time.Duration) (*status.Document, []byte, error) {
	raw, err := verdict.Status(socket, time.Now().Add(wait))
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, nil, fmt.Errorf("%s: only root may ask the daemon: run this as root", socket)
	case errors.Is(err, verdict.ErrNobody):
		return nil, nil, fmt.Errorf("%w at %s: start netmendd (systemctl start netmendd), or name the socket of its configuration with --socket; netmendctl audit needs no daemon",
			errNoDaemon, socket)
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", socket, err)
	}
	var d status.Document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, nil, fmt.Errorf("%s: decode status: %w", socket, err)
	}
	return &d, raw, nil
}
