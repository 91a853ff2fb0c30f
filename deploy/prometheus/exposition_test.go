package prometheus

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

// scrape gives the metrics of a daemon's own surfaces, over HTTP, when everything that it counts has happened once.
func scrape(t *testing.T) string {
	t.Helper()
	suite, err := audit.Default()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "prom") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, socket := l.Addr().String(), filepath.Join(dir, "s")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	board := &serve.Board{}
	m := serve.NewMetrics(board, serve.Build{Version: "v1", Commit: "abc", Checks: suite.Checks()})
	now := time.Now()
	board.Publish(serve.State{Status: &status.Document{
		APIVersion: status.APIVersion, Kind: status.Kind, Node: "node1", Mode: "fix", State: status.Faulty, Ready: true, Started: now, At: now,
		Audit:    status.Audit{At: now, Full: now},
		Findings: []status.Finding{{Check: "tunnel-tx-checksum", Severity: suite.Checks()[0].Severity, Where: "flannel.1"}},
		Skipped:  []status.Skip{{Check: "hairpin", Reason: "no window"}},
		Conditions: []status.Condition{
			{Name: status.Journal, OK: true}, {Name: status.ChainKept, Message: "no configuration"},
		},
	}})
	m.Audited(0.1)
	for _, result := range []string{serve.FixVerified, serve.FixFailed, serve.FixUndone, serve.FixContested, serve.FixRefused, serve.FixGone} {
		m.Fixed("tunnel-tx-checksum", result)
	}
	m.Unread(facts.KindServiceRules)
	surfaces := serve.New(serve.Options{Board: board, Metrics: m, NodeState: filepath.Join(dir, "state")}, serve.Settings{Socket: socket, Listen: address})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		surfaces.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for _, verdict := range []string{"pass", "off", "warn", "refuse", "error"} {
		tell(t, socket, verdict)
	}
	var text string
	until(t, "the metrics", func() bool {
		r, err := http.Get("http://" + address + "/metrics")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		text = string(body)
		return err == nil && r.StatusCode == http.StatusOK && strings.Count(text, "\nnetmend_cni_requests_total{") == 5
	})
	return text
}

// tell reports a request as the plugin does.
func tell(t *testing.T, socket, verdict string) {
	t.Helper()
	until(t, "the socket", func() bool {
		c, err := net.Dial("unix", socket)
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = fmt.Fprintf(c, `{"netmend":1,"tell":{"command":"ADD","verdict":%q,"ms":1}}`+"\n", verdict)
		return err == nil
	})
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)(=~|=|!=|!~)"((?:[^"\\]|\\.)*)"`)
)

// metrics are the labels of each metric, and the values of each label, as they are served. What a scrape adds has no values: any will do.
func metrics(t *testing.T, text string) map[string]map[string]map[string]bool {
	t.Helper()
	out := map[string]map[string]map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("no sample: %s", line)
		}
		if out[m[1]] == nil {
			out[m[1]] = map[string]map[string]bool{"job": nil, "instance": nil, "node": nil}
		}
		for _, p := range labelPair.FindAllStringSubmatch(m[2], -1) {
			if out[m[1]][p[1]] == nil {
				out[m[1]][p[1]] = map[string]bool{}
			}
			out[m[1]][p[1]][p[3]] = true
		}
	}
	return out
}
