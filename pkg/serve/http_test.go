package serve

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/status"
)

// get asks a handler without a network.
func (d *desktop) get(method, host, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	d.handler().ServeHTTP(w, r)
	return w
}

func TestHealthAndReadiness(t *testing.T) {
	d := start(t, nil)
	expect := func(what, path string, code int, body string) {
		t.Helper()
		if w := d.get("GET", "127.0.0.1:26363", path); w.Code != code || !strings.Contains(w.Body.String(), body) {
			t.Errorf("%s: %s = %d %s; want %d %s", what, path, w.Code, w.Body, code, body)
		}
	}
	expect("no beat yet", "/healthz", 503, "has not turned")
	expect("nothing published", "/readyz", 503, "not audited yet")
	expect("nothing published", "/", 503, "not audited yet")
	expect("nothing published", "/live", 200, `"state":"starting"`)
	d.board.Beat()
	expect("a beat", "/healthz", 200, "ok")
	d.board.Publish(state(func(s *State) { s.Status.Ready = false }))
	expect("not ready", "/readyz", 503, "not audited yet")
	d.board.Publish(state(nil))
	expect("ready", "/readyz", 200, "the node is faulty")
	d.board.Publish(state(func(s *State) { s.Status.State = status.Stopping }))
	expect("stopping", "/readyz", 503, "ends")
	d.board.mu.Lock()
	d.board.beat = time.Now().Add(-BeatPatience)
	d.board.mu.Unlock()
	expect("stuck", "/healthz", 503, "has not turned")
	expect("unknown", "/x", 404, "")
}

func TestPage(t *testing.T) {
	d := start(t, nil)
	d.board.Publish(state(nil))
	w := d.get("GET", "localhost", "/")
	page := w.Body.String()
	for _, want := range []string{
		"spoils checksums", "flannel.1", "daemon in mode audit: the node is faulty", "the daemon goes on without http: port taken", "connect-src &#39;self&#39;", `data-ask="/live"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(page, "The audit changed nothing") {
		t.Errorf("code %d, %v", w.Code, w.Header())
	}
	tag := func() string {
		var live struct{ Tag, State, At string }
		if err := json.Unmarshal(d.get("GET", "localhost", "/live").Body.Bytes(), &live); err != nil || live.At == "" || live.State == "" {
			t.Fatalf("/live: %+v, %v", live, err)
		}
		return live.Tag
	}
	first := tag()
	if !strings.Contains(page, `data-tag="`+first+`"`) {
		t.Errorf("the page has another tag than %s", first)
	}
	d.board.Publish(state(func(s *State) { s.Status.Audit.At = time.Now().Add(time.Hour); s.Report.Passed = []string{"x"} }))
	if tag() != first {
		t.Error("a later look that found the same makes the page load again")
	}
	d.board.Publish(state(func(s *State) { s.Report.Findings[0].Severity = check.Warning }))
	if tag() == first {
		t.Error("another finding does not make the page load again")
	}
}

func TestGuard(t *testing.T) {
	d := start(t, func(_ *Options, s *Settings) { s.Hosts = []string{"Monitor.example"} })
	d.board.Beat()
	d.board.Publish(state(nil))
	for _, tt := range []struct {
		method, host string
		want         int
	}{
		{"GET", "127.0.0.1:26363", 200},
		{"HEAD", "127.0.0.1:26363", 200},
		{"GET", "[::1]:26363", 200},
		{"GET", "[::1]", 200},
		{"GET", "10.0.0.1", 200},
		{"GET", "LOCALHOST:26363", 200},
		{"GET", "localhost.", 200},
		{"GET", "node1:26363", 200},
		{"GET", "monitor.example:26363", 200},
		{"GET", "evil.example:26363", 421},
		{"GET", "localhost.evil.example", 421},
		{"GET", "127.0.0.1.evil.example", 421},
		{"GET", "", 421},
		{"POST", "127.0.0.1:26363", 405},
		{"DELETE", "127.0.0.1:26363", 405},
		{"OPTIONS", "127.0.0.1:26363", 405},
	} {
		w := d.get(tt.method, tt.host, "/healthz")
		if w.Code != tt.want {
			t.Errorf("%s with Host %q = %d; want %d", tt.method, tt.host, w.Code, tt.want)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s with Host %q: headers %v", tt.method, tt.host, w.Header())
		}
	}
}

// TestPortTaken holds that a taken port is told of, and taken over when it is free.
func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	d := start(t, func(_ *Options, s *Settings) { s.Listen = address })
	until(t, "it is told", func() bool {
		_, err := d.condition(status.HTTPServed)
		return err != nil && strings.Contains(err.Error(), "address already in use")
	})
	d.healthy(status.SocketServed)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	d.healthy(status.HTTPServed)
	d.board.Beat()
	body := fetch(t, address, "/healthz")
	if body != "ok\n" {
		t.Errorf("/healthz = %q", body)
	}
	other := freePort(t)
	d.Apply(Settings{Socket: d.socket, Listen: other})
	until(t, "it moves", func() bool {
		conn, err := net.Dial("tcp", other)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the old address is still served")
	}
}

func fetch(t *testing.T, address, path string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestHTTPBounds holds that headers are bounded, and that a crowd that says nothing does not keep the daemon from ending.
func TestHTTPBounds(t *testing.T) {
	address := freePort(t)
	d := start(t, func(_ *Options, s *Settings) { s.Listen = address })
	d.healthy(status.HTTPServed)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n", strings.Repeat("x", 4*maxHeader))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "431") {
		t.Errorf("a header that is too large: %q, %v", line, err)
	}
	for range maxClients + 10 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	ended := make(chan struct{})
	go func() { d.stop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

func TestMetrics(t *testing.T) {
	d := start(t, nil)
	d.board.Publish(state(nil))
	m := d.o.Metrics
	m.Audited(.02)
	m.Fixed("tunnel-tx-checksum", FixVerified)
	m.Fixed("no-such-check", "exploded")
	m.Unread("links")
	m.Unread("x")
	m.request("ADD", "warn", .003)
	m.request("rm -rf", "x", .003)
	text := d.get("GET", "localhost", "/metrics").Body.String()
	if strings.Contains(text, `netmend_checks_skipped{check="tunnel-tx-checksum"}`) {
		t.Error("a check that has nothing to judge counts as one that could not")
	}
	for _, want := range []string{
		`netmend_findings{check="tunnel-tx-checksum",severity="critical"} 1`,
		`netmend_findings{check="hairpin",severity="warning"} 0`,
		`netmend_checks_skipped{check="hairpin"} 1`,
		`netmend_fixes_total{check="tunnel-tx-checksum",result="verified"} 1`,
		`netmend_fixes_total{check="other",result="other"} 1`,
		`netmend_collector_errors_total{kind="links"} 1`,
		`netmend_collector_errors_total{kind="other"} 1`,
		`netmend_cni_requests_total{command="ADD",verdict="warn"} 1`,
		`netmend_cni_requests_total{command="other",verdict="other"} 1`,
		`netmend_cni_request_duration_seconds_count 2`,
		`netmend_audit_duration_seconds_count 1`,
		`netmend_last_audit_timestamp_seconds `,
		`netmend_build_info{commit="abc",version="v1"} 1`,
		`netmend_node_state{state="faulty"} 1`,
		`netmend_node_state{state="proven"} 0`,
		`netmend_condition{condition="journal"} 1`,
		`netmend_condition{condition="http"} 0`,
		`netmend_ready 1`,
		`netmend_mode{mode="audit"} 1`,
		`netmend_chain 0`,
		`process_resident_memory_bytes `,
		`process_open_fds `,
		`go_goroutines `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("no metric %s", want)
		}
	}
	d.board.Publish(state(func(s *State) {
		for i := range 5000 { // as a hostile node might have them
			s.Status.Findings = append(s.Status.Findings, status.Finding{Check: fmt.Sprint("x", i), Severity: check.Severity(i)})
			s.Status.Skipped = append(s.Status.Skipped, status.Skip{Check: fmt.Sprint("x", i)})
			s.Status.Conditions = append(s.Status.Conditions, status.Condition{Name: status.Journal})
		}
	}))
	w := d.get("GET", "localhost", "/metrics")
	if n := strings.Count(w.Body.String(), "\n"); w.Code != 200 || n > 500 {
		t.Errorf("code %d, %d lines; want 200 and at most 500", w.Code, n)
	}
}

func TestNodeState(t *testing.T) {
	d := start(t, nil)
	path := d.o.NodeState
	read := func() (n NodeState) {
		data, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(data, &n)
		}
		if err != nil {
			return NodeState{}
		}
		return n
	}
	d.board.Publish(state(func(s *State) { s.Status.State, s.Status.Ready = status.Starting, false }))
	until(t, "starting", func() bool { return read().State == status.Starting })
	d.board.Publish(state(nil))
	until(t, "faulty", func() bool { return read().State == status.Faulty })
	n := read()
	if !n.Ready || n.Critical != 1 || n.Warning != 0 || n.Node != "node1" || n.PID != os.Getpid() || n.Since.IsZero() || n.Kind != NodeStateKind || n.Mode != "audit" {
		t.Errorf("the file says %+v", n)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v; want 0644", info.Mode(), err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	d.board.Publish(state(func(s *State) { s.Status.Audit.Total = 2 }))
	d.healthy(status.NodeState)
	d.board.Publish(state(func(s *State) { s.Status.State = status.Stopping }))
	d.stop()
	if read().State != status.Stopping {
		t.Errorf("at the end: %+v", read())
	}
	if after, err := os.Stat(path); err != nil || os.SameFile(before, after) {
		t.Errorf("it was written in place: %v", err)
	}
	entries, err := os.ReadDir(d.dir + "/run")
	var left []string
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if want := []string{"netmend.sock", "netmend.sock.lock", "node-state"}; err != nil || !slices.Equal(left, want) {
		t.Errorf("left behind: %v, %v; want %v", left, err, want)
	}
}

// TestNodeStateUnwritten holds that a file that cannot be written is told of, and written when it can be.
func TestNodeStateUnwritten(t *testing.T) {
	d := start(t, func(o *Options, s *Settings) {
		o.NodeState = s.Socket + ".d/node-state"
		s.Socket = ""
		if err := os.MkdirAll(o.NodeState, 0o755); err != nil {
			t.Fatal(err)
		}
	})
	d.board.Publish(state(nil))
	until(t, "it is told", func() bool { _, err := d.condition(status.NodeState); return err != nil })
	if err := os.Remove(d.o.NodeState); err != nil {
		t.Fatal(err)
	}
	d.healthy(status.NodeState)
}

func TestSystemd(t *testing.T) {
	path := t.TempDir() + "/n"
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000", "WATCHDOG_PID": "7"}
	getenv := func(k string) string { return env[k] }
	s := NewSystemd(getenv, 7)
	next := func() string {
		t.Helper()
		buf := make([]byte, 1000)
		_ = l.SetReadDeadline(time.Now().Add(20 * time.Second))
		n, err := l.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	for _, tt := range []struct {
		name string
		do   func() error
		want string
	}{
		{"ready", s.Ready, "READY=1"},
		{"status", func() error { return s.Status("a\nREADY=1 b") }, "STATUS=a READY=1 b"},
		{"stopping", s.Stopping, "STOPPING=1"},
	} {
		if err := tt.do(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := next(); got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
	if err := s.Reloading(); err != nil || !strings.HasPrefix(next(), "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("reloading: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	turns := make(chan bool, 3)
	turns <- true
	turns <- false
	turns <- true
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Watch(ctx, func() bool {
			select {
			case v := <-turns:
				return v
			default:
				return false
			}
		})
	}()
	for range 2 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("the watchdog gets %q", got)
		}
	}
	cancel()
	<-ended
	if other := NewSystemd(getenv, 8); other.watchdog != 0 {
		t.Error("a watchdog of another process is fed")
	}
	var none Systemd
	none.Watch(t.Context(), nil)
	if err := none.Ready(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	env["NOTIFY_SOCKET"] = path + "x"
	if err := NewSystemd(getenv, 7).Ready(); err == nil {
		t.Error("a manager that is gone gives no error")
	}
}
