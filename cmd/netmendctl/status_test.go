//go:build linux

package main

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

// daemonRoot serves a document below a root, as the daemon does.
func daemonRoot(t *testing.T, root string, d *status.Document) {
	t.Helper()
	board := &serve.Board{}
	if d != nil {
		board.Publish(serve.State{Status: d})
	}
	up := make(chan error, 10)
	s := serve.New(serve.Options{
		Board: board, Metrics: serve.NewMetrics(board, serve.Build{}), NodeState: filepath.Join(root, "run/netmend/node-state"),
		Health: func(condition string, err error) {
			if condition == status.SocketServed {
				up <- err
			}
		},
	}, serve.Settings{Socket: daemonSocket(root)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	if err := <-up; err != nil {
		t.Fatal(err)
	}
}

// shortRoot is a root whose path is short enough for a socket's.
func shortRoot(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp("", "root")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(root); err != nil {
			t.Error(err)
		}
	})
	return root
}

func faulty(now time.Time) *status.Document {
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	tunnel := facts.Ref{NetNS: 1, Index: 5, Name: "flannel.1"}
	return &status.Document{
		APIVersion: status.APIVersion, Kind: status.Kind, Node: "node1", Mode: "fix", State: status.Faulty, Ready: true, Started: ago(3 * time.Hour), At: now,
		Versions: status.Versions{Netmend: "v1", Kernel: "6.1.0"},
		Audit:    status.Audit{At: ago(3 * time.Second), Full: ago(4 * time.Minute), Cause: "counter window", Total: 181},
		Findings: []status.Finding{
			{Check: "dhcp-static-same-nic", Severity: check.Critical, Where: "eth0", Message: "two addresses \x1b[31m", FirstSeen: ago(time.Hour), Plan: "only a person can do it: netmendctl explain dhcp-static-same-nic",
				Commands: []string{"ip address del 10.0.0.5/24 dev eth0", "networkctl reload"}},
			{Check: "hairpin", Severity: check.Warning, Where: "veth1", Message: "no way back", FirstSeen: ago(72 * time.Hour), Ignored: true},
		},
		Resolved: []status.Finding{{Check: "tunnel-tx-checksum", Where: "flannel.1", FirstSeen: ago(190 * time.Second), Resolved: ago(3 * time.Minute), By: "fix 12"}},
		Skipped:  []status.Skip{{Check: "udp-incsum-errors", Reason: "no window: it judges counters over time (--window 60s)"}, {Check: "rp-filter-strict", Reason: "not applicable: nothing to filter"}},
		Fixes: []status.Fix{
			{ID: 12, Check: "tunnel-tx-checksum", On: tunnel, Title: "switch the offload off", State: "verified", At: ago(3 * time.Minute)},
			{Check: "ip-forward", Title: "forward", State: "refused", Reason: "no space left on device", At: ago(time.Second)},
		},
		Chain:      status.Chain{Kept: true, File: "/etc/cni/net.d/10-flannel.conflist", Network: "cbr0", Plugins: []string{"flannel", "netmend"}, In: true},
		Conditions: []status.Condition{{Name: status.HTTPServed, Message: "listen tcp 127.0.0.1:26363: address already in use", Since: ago(10 * time.Second)}, {Name: status.Journal, OK: true}},
	}
}

const faultyText = `node1 · faulty · mode fix · kernel 6.1.0 · netmend v1
last look 3 s ago (counter window), everything read 4 min ago, 181 looks since the start 3 h ago

CRITICAL (1)

  dhcp-static-same-nic · eth0
    two addresses \x1b[31m
    since  60 min ago
    plan   only a person can do it: netmendctl explain dhcp-static-same-nic
    mends  ip address del 10.0.0.5/24 dev eth0
           networkctl reload

IGNORED (1)

  hairpin · veth1
    no way back
    since  3 days ago

Fixes
   12  verified  tunnel-tx-checksum on flannel.1: switch the offload off, 3 min ago
    -  refused  ip-forward on the node: forward, 1 s ago
       no space left on device

Resolved lately
  tunnel-tx-checksum on flannel.1: 3 min ago, by fix 12; it had lasted 10 s

Chain of /etc/cni/net.d/10-flannel.conflist (network cbr0): flannel, netmend

Not judged, or not in whole
  udp-incsum-errors: no window: it judges counters over time

The daemon goes on without
  http: listen tcp 127.0.0.1:26363: address already in use, 10 s ago
`

func TestStatusText(t *testing.T) {
	root := shortRoot(t)
	e := newTestEnv(t, "status", "--root", root)
	daemonRoot(t, root, faulty(e.now()))
	if got := run(context.Background(), e.env); got != exitFindings || e.out.String() != faultyText {
		t.Errorf("exit %d %s; want 1; the text is\n%s\nwant\n%s", got, e.err.String(), e.out.String(), faultyText)
	}
	out, _ := runChain(t, exitFindings, "status", "--socket", daemonSocket(root), "--color", "always")
	if !strings.Contains(out, "\x1b[1;31mfaulty\x1b[0m") || strings.Contains(out, "\x1b[31m") {
		t.Errorf("in colour: %q", out)
	}
	for _, format := range []string{"json", "yaml"} {
		out, _ := runChain(t, exitFindings, "status", "--root", root, "-o", format)
		var d status.Document
		if err := yaml.UnmarshalStrict([]byte(out), &d); err != nil || d.Kind != status.Kind || len(d.Findings) != 2 || d.Findings[0].Severity != check.Critical {
			t.Errorf("-o %s: %v, %+v", format, err, d)
		}
	}
	if out, _ := runChain(t, exitFindings, "status", "--root", root, "-o", "json"); !json.Valid([]byte(out)) {
		t.Error("-o json is no JSON")
	}
}

func TestStatusCodes(t *testing.T) {
	proven := func(state status.State) *status.Document {
		return &status.Document{Node: "n", Mode: "audit", State: state, Audit: status.Audit{Total: 1}}
	}
	for _, tt := range []struct {
		name     string
		document *status.Document
		code     int
		want     string
	}{
		{"proven", proven(status.Proven), exitFine, "n · proven · mode audit"},
		{"starting", proven(status.Starting), exitFailed, "netmendctl: status: the node was not audited yet: ask again in a moment"},
		{"nothing published", nil, exitFailed, "not audited yet"},
		{"stopping", proven(status.Stopping), exitFailed, "the daemon ends"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := shortRoot(t)
			daemonRoot(t, root, tt.document)
			out, errText := runChain(t, tt.code, "status", "--root", root)
			if !strings.Contains(out+errText, tt.want) {
				t.Errorf("%s%s; want %s", out, errText, tt.want)
			}
		})
	}
}

func TestStatusWithoutDaemon(t *testing.T) {
	root := shortRoot(t)
	want := "netmendctl: status: no daemon answers at " + daemonSocket(root) +
		": start netmendd (systemctl start netmendd), or name the socket of its configuration with --socket; netmendctl audit needs no daemon\n"
	if _, got := runChain(t, exitFailed, "status", "--root", root); got != want {
		t.Errorf("%q; want %q", got, want)
	}
	if err := os.MkdirAll(filepath.Dir(daemonSocket(root)), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", daemonSocket(root))
	if err != nil {
		t.Fatal(err)
	}
	if _, got := runChain(t, exitFailed, "status", "--root", root, "--wait", "50ms"); !strings.Contains(got, "i/o timeout") {
		t.Errorf("one that does not answer: %q", got)
	}
	if first, err := l.Accept(); err != nil || first.Close() != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]string{
		"{}\n": "version 0, not 1", "hello\n": "not an answer to believe", `{"netmend":1}` + "\n": "it has no status", `{"netmend":1,"error":"no"}` + "\n": "the daemon says: no",
		`{"netmend":1,"status":7}` + "\n": "decode status",
	} {
		go func() {
			conn, err := l.Accept()
			if err == nil {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 100)) // the question
				_, _ = conn.Write([]byte(answer))
			}
		}()
		if _, got := runChain(t, exitFailed, "status", "--root", root, "--wait", "20s"); !strings.Contains(got, want) {
			t.Errorf("an answer of %q: %q; want %s", answer, got, want)
		}
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got := runChain(t, exitFailed, "status", "--root", root); got != want {
		t.Errorf("one that was killed: %q; want %q", got, want)
	}
	if _, got := runChain(t, exitFailed, "status", "--wait", "0s"); !strings.Contains(got, "--wait 0s") {
		t.Errorf("no time: %q", got)
	}
}

// TestUndoBesideDaemon holds that a person hears that the daemon would make the fix again.
func TestUndoBesideDaemon(t *testing.T) {
	for mode, warns := range map[string]bool{"fix": true, "audit": false} {
		root := shortRoot(t)
		if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/proc/self", filepath.Join(root, "proc/self")); err != nil {
			t.Fatal(err)
		}
		daemonRoot(t, root, &status.Document{Mode: mode})
		out, _ := runChain(t, exitFine, "undo", "--all", "--root", root)
		if strings.Contains(out, "netmendd runs here in mode fix") != warns || !strings.Contains(out, "Nothing was in force.") {
			t.Errorf("mode %s: %s", mode, out)
		}
	}
}

// TestUninstallBesideDaemon holds that the plugin is not taken out where it would come back.
func TestUninstallBesideDaemon(t *testing.T) {
	for _, kept := range []bool{true, false} {
		root := shortRoot(t)
		conf := filepath.Join(root, "etc/cni/net.d/10-x.conflist")
		if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
			t.Fatal(err)
		}
		with := strings.Replace(chainConf, `"type": "flannel"`, `"type": "flannel"}, {"type": "netmend"`, 1)
		if err := os.WriteFile(conf, []byte(with), 0o644); err != nil {
			t.Fatal(err)
		}
		daemonRoot(t, root, &status.Document{Chain: status.Chain{Kept: kept}})
		code := exitFine
		if kept {
			code = exitFailed
			const why = "netmendd runs here and would put the plugin back: stop it first"
			if out, _ := runChain(t, exitFine, "uninstall", "--root", root, "--dry-run"); !strings.Contains(out, "warning: "+why) {
				t.Errorf("a dry run says %s", out)
			}
			if _, errText := runChain(t, exitFailed, "uninstall", "--root", root); !strings.Contains(errText, why) {
				t.Errorf("it says %s", errText)
			}
		} else {
			runChain(t, code, "uninstall", "--root", root)
		}
		data, err := os.ReadFile(conf)
		if err != nil || strings.Contains(string(data), "netmend") != kept {
			t.Errorf("kept %v: %v, %s", kept, err, data)
		}
	}
}

// TestRetireBesideDaemon holds that nothing is taken off a node while a daemon would put it back.
func TestRetireBesideDaemon(t *testing.T) {
	root := shortRoot(t)
	journal := filepath.Join(root, "var/lib/netmend/journal")
	if err := os.MkdirAll(filepath.Dir(journal), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	daemonRoot(t, root, &status.Document{Mode: "audit"})
	if _, errText := runChain(t, exitFailed, "retire", "--root", root, "--wait", "0s"); !strings.Contains(errText, "netmendd still runs after 0s and would undo this: stop it first") {
		t.Errorf("it says %s", errText)
	}
	if _, err := os.Stat(journal); err != nil {
		t.Errorf("the journal: %v", err)
	}
}
