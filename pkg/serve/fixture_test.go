package serve

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

// desktop is surfaces that run.
type desktop struct {
	*Surfaces
	t      *testing.T
	board  *Board
	dir    string
	socket string
	told   chan status.Report
	stop   func()

	mu     sync.Mutex
	health map[string]error
}

func sample() []*check.Check {
	return []*check.Check{{Name: "tunnel-tx-checksum", Title: "A tunnel", Severity: check.Critical}, {Name: "hairpin", Title: "A hairpin", Severity: check.Warning}}
}

// state is one that was published after an audit.
func state(change func(*State)) State {
	now := time.Now()
	s := State{
		Status: &status.Document{
			APIVersion: status.APIVersion, Kind: status.Kind, Node: "node1", Mode: "audit", State: status.Faulty, Ready: true, Started: now, At: now,
			Audit: status.Audit{At: now, Full: now, Total: 1, Cause: "start"},
			Findings: []status.Finding{
				{Check: "tunnel-tx-checksum", Severity: check.Critical, Where: "flannel.1", Message: "spoils checksums"},
				{Check: "hairpin", Severity: check.Warning, Ignored: true},
			},
			Skipped:    []status.Skip{{Check: "hairpin", Reason: "no window"}, {Check: "tunnel-tx-checksum", Reason: "not applicable: no tunnel"}},
			Conditions: []status.Condition{{Name: status.Journal, OK: true}, {Name: status.HTTPServed, Message: "port taken"}},
		},
		Snapshot: &facts.Snapshot{Schema: facts.Schema, Taken: now, Node: facts.Node{Name: "node1"}, Host: facts.Namespace{Inode: 1}},
		Report: &check.Report{
			Findings: []check.Finding{{Check: "tunnel-tx-checksum", Severity: check.Critical, On: facts.Ref{NetNS: 1, Index: 5, Name: "flannel.1"}, Message: "spoils checksums"}},
		},
		Verdicts: Verdicts{
			Judged:   []string{"tunnel-tx-checksum"},
			Findings: []check.Finding{{Check: "tunnel-tx-checksum", Severity: check.Critical, On: facts.Ref{NetNS: 1, Index: 5, Name: "flannel.1"}, Message: "spoils checksums"}},
			AsOf:     time.Now,
		},
	}
	if change != nil {
		change(&s)
	}
	return s
}

// start serves in a directory of its own, HTTP at a free port of the loopback interface.
func start(t *testing.T, change func(*Options, *Settings)) *desktop {
	t.Helper()
	// Not t.TempDir: a socket's path has at most 107 bytes, and the test's name would be in it.
	dir, err := os.MkdirTemp("", "serve")
	if err != nil {
		t.Fatal(err)
	}
	d := &desktop{t: t, board: &Board{}, dir: dir, socket: filepath.Join(dir, "run/netmend.sock"), told: make(chan status.Report, 1000), health: map[string]error{}}
	o := Options{
		Board: d.board, Metrics: NewMetrics(d.board, Build{Version: "v1", Commit: "abc", Checks: sample()}), NodeState: filepath.Join(dir, "run/node-state"),
		Health: func(name string, err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.health[name] = err
		},
		Told: func(r status.Report) { d.told <- r },
	}
	s := Settings{Socket: d.socket}
	if change != nil {
		change(&o, &s)
	}
	d.Surfaces = New(o, s)
	d.retry = 100 * time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Run(ctx)
	}()
	d.stop = sync.OnceFunc(func() { cancel(); <-ended })
	t.Cleanup(func() {
		d.stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return d
}

// until waits for a condition with a generous deadline.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// told says whether a condition was told, and what.
func (d *desktop) condition(name string) (told bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err, told = d.health[name]
	return told, err
}

func (d *desktop) healthy(name string) {
	d.t.Helper()
	until(d.t, name+" is served", func() bool { told, err := d.condition(name); return told && err == nil })
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
