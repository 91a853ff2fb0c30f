package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/status"
)

// DefaultNodeState is where the state of the node is written for others.
const DefaultNodeState = "/run/netmend/node-state"

// NodeStateKind says what the document in that file is; its apiVersion is that of [status.Document].
const NodeStateKind = "NodeState"

// NodeState is the document in the file: whether the node's network is proven, for whoever must not start before. The file is replaced as a whole when anything
// in it changes, and not otherwise, so that it can be watched. Anybody may read it. A daemon that was killed leaves it as it was: PID tells whether it still runs.
// Fields are added, never changed.
type NodeState struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Node       string       `json:"node"`
	State      status.State `json:"state"`
	Ready      bool         `json:"ready"` // the node was audited and mended once since the daemon's start
	Mode       string       `json:"mode"`
	Critical   int          `json:"critical"` // findings that are not ignored
	Warning    int          `json:"warning"`
	Since      time.Time    `json:"since"` // when this was written
	PID        int          `json:"pid"`   // of the daemon
	Version    string       `json:"version"`
}

func nodeState(d *status.Document) NodeState {
	n := NodeState{
		APIVersion: status.APIVersion, Kind: NodeStateKind, Node: d.Node, State: d.State, Ready: d.Ready, Mode: d.Mode,
		PID: os.Getpid(), Version: d.Versions.Netmend,
	}
	for _, f := range d.Findings {
		switch {
		case f.Ignored:
		case f.Severity == check.Critical:
			n.Critical++
		case f.Severity == check.Warning:
			n.Warning++
		}
	}
	return n
}

// writeNodeState writes the file whenever the state changes, until the context ends, and then once more.
func (s *Surfaces) writeNodeState(ctx context.Context) {
	h := health{tell: s.o.Health, condition: status.NodeState}
	var written NodeState
	for {
		p, changed := s.o.Board.last()
		again := time.Duration(0)
		if p != nil && p.Status != nil {
			if now := nodeState(p.Status); now != written {
				err := replaceState(s.o.NodeState, now)
				if err == nil {
					written = now
				} else {
					again = s.retry
				}
				h.is(err)
			}
		}
		if ctx.Err() != nil {
			return
		}
		waitFor(ctx, changed, again)
	}
}

// replaceState exchanges the file, so that a reader sees the old one or the new one. The directory is on tmpfs as a rule: nothing has to outlive a power cut.
func replaceState(path string, n NodeState) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write node state: %w", err)
		}
	}()
	n.Since = time.Now().UTC().Round(0)
	data, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".node-state-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
