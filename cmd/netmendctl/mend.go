//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/report"
)

// mendCommands are those that change a node.
func mendCommands(e *env) []*cobra.Command {
	return []*cobra.Command{newFix(e), newHistory(e), newUndo(e), newInstall(e), newUninstall(e), newRetire(e), newStatus(e)}
}

// journalFlags say where the journal is.
type journalFlags struct {
	dir  string
	wait time.Duration
}

func (f *journalFlags) add(flags *pflag.FlagSet, writes bool) {
	flags.StringVar(&f.dir, "journal", "", "`DIR` of the journal of changes (default /var/lib/netmend below --root)")
	if writes {
		flags.DurationVar(&f.wait, "wait", 10*time.Second, "wait this `TIME` for another netmend that is at work")
	}
}

func (f *journalFlags) path(root string) string {
	if f.dir != "" {
		return f.dir
	}
	return filepath.Join(rootOr(root), "var/lib/netmend")
}

func rootOr(root string) string {
	if root == "" {
		return "/"
	}
	return root
}

// mending is an open node with its journal.
type mending struct {
	*repair.Mender
	host *host.Host
}

func (m *mending) Close() error { return errors.Join(m.Mender.Close(), m.host.Close()) }

// open takes the journal's lock, so that nothing else changes the node meanwhile.
func (f *journalFlags) open(ctx context.Context, root, netns string, o repair.Options) (*mending, error) {
	h, err := host.Open(host.Options{Root: root, NetNS: netns})
	if err != nil {
		return nil, err
	}
	o.Kernel, o.Dir, o.Wait, o.Boot = repair.HostKernel(h), f.path(root), f.wait, repair.BootDir(rootOr(root))
	m, err := repair.Open(ctx, o)
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return &mending{m, h}, nil
}

// where says which object an entry of the journal is about.
func where(on facts.Ref) string {
	if on.Name == "" {
		return "the node"
	}
	return on.Name
}

// changeLine is "flannel.1  ethtool:tx-checksum-ip-generic  on -> off".
func changeLine(c fix.Change, from, to string) string {
	return report.Printable(fmt.Sprintf("%s  %s  %s -> %s", where(c.On), c.Knob, shown(from), shown(to)))
}

// shown is a value as a person reads it: an empty one would not be seen, and tabs separate nothing else.
func shown(value string) string {
	if value == "" {
		return `""`
	}
	return strings.Join(strings.Fields(value), " ")
}

// settledLines tell what was found of a process that died, or of an earlier boot.
func settledLines(m *mending) (lines []string) {
	for _, e := range m.Settled() {
		lines = append(lines, endedLine(e))
	}
	for _, w := range m.Warnings() {
		lines = append(lines, "warning: "+w)
	}
	return lines
}

// endedLine tells what has become of an earlier fix.
func endedLine(e repair.Entry) string {
	text := fmt.Sprintf("fix %d (%s on %s) is %s now", e.ID, e.Check, where(e.On), e.State)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	return text
}
