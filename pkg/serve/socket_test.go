package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/pkg/verdict"
)

// TestPlugin speaks as the plugin does, with its client.
func TestPlugin(t *testing.T) {
	d := start(t, nil)
	d.healthy(status.SocketServed)
	info, err := os.Lstat(d.socket)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("the socket is %v, %v; want srw-------", info.Mode(), err)
	}
	ask := func() *verdict.Answer {
		t.Helper()
		c, err := verdict.Ask(d.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		a, err := c.Answer(time.Now().Add(20 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if a.Judged == nil { // the daemon has nothing to tell yet
			return a
		}
		if err := c.Tell([]byte(`{"command":"ADD","verdict":"refuse","pod":"default/web","message":"no way out","ms":3.5,"new":1,
			"findings":[{"check":"pod-default-route","severity":"critical","on":"eth0","message":"none","evidence":[]}]}`)); err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask(); len(a.Judged) != 0 || len(a.Findings) != 0 {
		t.Errorf("before the first audit: %+v", a)
	}
	d.board.Publish(state(nil))
	a := ask()
	if len(a.Judged) != 1 || len(a.Findings) != 1 || a.Findings[0].Message != "spoils checksums" || a.Age > 20 || a.State != "faulty" {
		t.Errorf("the answer is %+v", a)
	}
	select {
	case r := <-d.told:
		if r.Pod != "default/web" || r.Verdict != "refuse" || len(r.Findings) != 1 || r.Findings[0].Severity != check.Critical || r.At.IsZero() {
			t.Errorf("told %+v", r)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("what the plugin tells is not heard")
	}
	line, err := verdict.Status(d.socket, time.Now().Add(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var doc status.Document
	if err := json.Unmarshal(line, &doc); err != nil || doc.Node != "node1" || len(doc.Reports) != 1 || doc.State != status.Faulty {
		t.Errorf("status: %v, %s", err, line)
	}
}

// TestLeft hears what a plugin has told that ended before its question was answered: a pod that waits does not wait for a busy daemon.
func TestLeft(t *testing.T) {
	d := start(t, nil)
	d.board.Publish(state(nil))
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := `{"netmend":1,"ask":"verdicts"}` + "\n" + `{"netmend":1,"tell":{"command":"ADD","verdict":"warn","pod":"default/web","message":"too large","ms":3.5}}` + "\n"
	if n, err := unix.Write(fds[0], []byte(lines)); err != nil || n != len(lines) {
		t.Fatal(n, err)
	}
	if err := unix.Close(fds[0]); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fds[1]), "daemon")
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	newDesk(d.Surfaces).talk(t.Context(), conn.(*net.UnixConn))
	select {
	case r := <-d.told:
		if r.Pod != "default/web" || r.Verdict != "warn" {
			t.Errorf("told %+v", r)
		}
	default:
		t.Error("what a plugin that has ended had told is not heard")
	}
}

// TestAge holds that old verdicts are not told, and that Services are all the same.
func TestAge(t *testing.T) {
	now := time.Now()
	v := Verdicts{Judged: []string{"hairpin"}, Services: []facts.ServiceIntent{{Name: "default/kubernetes:https", VIP: netip.MustParseAddr("10.96.0.1"), Port: 443, Protocol: "tcp"}}}
	for _, tt := range []struct {
		name   string
		age    time.Duration
		judged int
		want   float64
	}{
		{"now", 0, 1, 0},
		{"from the future, after the clock was set back", -time.Hour, 1, 0},
		{"29.5 s", 29500 * time.Millisecond, 1, 29.5},
		{"31 s", 31 * time.Second, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v.AsOf = func() time.Time { return now.Add(-tt.age) }
			a, err := verdict.Parse((&posted{State: State{Verdicts: v}, verdicts: answerOf(v, "")}).answer(now))
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Judged) != tt.judged || a.Age != tt.want || len(a.Services) != 1 {
				t.Errorf("at age %s: %+v", tt.age, a)
			}
		})
	}
}

// TestAnswerFits holds that an answer is never larger than the plugin reads, and that what is left out is not taken for judged.
func TestAnswerFits(t *testing.T) {
	many := func(name string, n, size int) (out []check.Finding) {
		for i := range n {
			out = append(out, check.Finding{Check: name, Message: strings.Repeat("x", size), Evidence: []check.Evidence{{Fact: fmt.Sprint(i), Got: strings.Repeat("e", 500)}}})
		}
		return out
	}
	services := make([]facts.ServiceIntent, 2000)
	for i := range services {
		services[i].Name = strings.Repeat("s", 60)
	}
	for _, tt := range []struct {
		name     string
		v        Verdicts
		judged   []string
		findings int
		evidence bool
	}{
		{"small", Verdicts{Judged: []string{"a", "b"}, Findings: many("a", 3, 100)}, []string{"a", "b"}, 3, true},
		{"without evidence", Verdicts{Judged: []string{"a", "b"}, Findings: many("a", 150, 100)}, []string{"a", "b"}, 150, false},
		{"without a check", Verdicts{Judged: []string{"a", "b"}, Findings: append(many("a", 150, 1000), many("b", 1, 10)...)}, []string{"b"}, 1, false},
		{"too many services", Verdicts{Judged: []string{"a"}, Findings: many("a", 1, 1), Services: services}, []string{"a"}, 1, true},
		{"a service that is none", Verdicts{Judged: []string{"a"}, Services: services[:1]}, []string{"a"}, 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			line := (&posted{State: State{Verdicts: tt.v, Status: &status.Document{Audit: status.Audit{At: time.Now()}}}, verdicts: answerOf(tt.v, "")}).answer(time.Now())
			a, err := verdict.Parse(line)
			if err != nil {
				t.Fatalf("%d bytes: %v", len(line), err)
			}
			if strings.Join(a.Judged, " ") != strings.Join(tt.judged, " ") || len(a.Findings) != tt.findings {
				t.Errorf("judged %v, %d findings; want %v, %d", a.Judged, len(a.Findings), tt.judged, tt.findings)
			}
			if len(a.Findings) > 0 && (a.Findings[0].Evidence != nil) != tt.evidence {
				t.Errorf("evidence: %v; want %v", a.Findings[0].Evidence, tt.evidence)
			}
		})
	}
}

// talk sends lines and gives what comes back until the daemon closes or a second is over.
func talk(t *testing.T, socket, lines string) string {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = conn.Write([]byte(lines)); _ = conn.(*net.UnixConn).CloseWrite() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var b strings.Builder
	for in := bufio.NewReader(conn); ; {
		line, err := in.ReadString('\n')
		b.WriteString(line)
		if err != nil {
			return b.String()
		}
	}
}

func TestBadQuestions(t *testing.T) {
	d := start(t, nil)
	d.healthy(status.SocketServed)
	d.board.Publish(state(nil))
	refused := func(why string) string { return `{"netmend":1,"error":"` + why + `"}` + "\n" }
	for _, tt := range []struct{ name, lines, want string }{
		{"nothing", "", ""},
		{"not JSON", "hello\n", refused("not a JSON object on one line")},
		{"another version", `{"netmend":2,"ask":"verdicts"}` + "\n", refused("version 1 is spoken here")},
		{"neither", `{"netmend":1}` + "\n", refused("it must either ask or tell")},
		{"both", `{"netmend":1,"ask":"status","tell":{}}` + "\n", refused("it must either ask or tell")},
		{"unknown, and another after it", `{"netmend":1,"ask":"x"}` + "\n" + `{"netmend":1,"ask":"y"}` + "\n", refused("unknown question") + refused("unknown question")},
		{"news that is none", `{"netmend":1,"tell":7}` + "\n" + `{"netmend":1,"ask":"x"}` + "\n", ""},
		{"a line without end", strings.Repeat("x", verdict.MaxQuestion+10), ""},
		{"too many", strings.Repeat(`{"netmend":1,"ask":"x"}`+"\n", maxMessages+5), strings.Repeat(refused("unknown question"), maxMessages)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := talk(t, d.socket, tt.lines); got != tt.want {
				t.Errorf("the answer is %.200q; want %.200q", got, tt.want)
			}
		})
	}
}

// TestTaken holds that a daemon that lives is never displaced, that a socket left behind is, and that there is a socket at every moment of a restart.
func TestTaken(t *testing.T) {
	d := start(t, nil)
	d.healthy(status.SocketServed)
	second := start(t, func(o *Options, s *Settings) { s.Socket = d.socket })
	until(t, "the second is refused", func() bool { _, err := second.condition(status.SocketServed); return err != nil })
	if _, err := second.condition(status.SocketServed); !strings.Contains(err.Error(), fmt.Sprintf("another netmend is at work: netmendd (pid %d)", os.Getpid())) {
		t.Errorf("the second is told: %v", err)
	}
	if _, err := verdict.Status(d.socket, time.Now().Add(20*time.Second)); err != nil {
		t.Errorf("the first does not answer any more: %v", err)
	}
	d.stop()
	second.healthy(status.SocketServed)
	second.stop()
	if _, err := os.Lstat(d.socket); err != nil {
		t.Errorf("no socket for the next to replace: %v", err)
	}
}

func TestLeftBehind(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "s")
	l, err := net.Listen("unix", old)
	if err != nil {
		t.Fatal(err)
	}
	if err := abandoned(old); err == nil || !strings.Contains(err.Error(), "another process (pid") {
		t.Errorf("a socket with a listener: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	missing := make(chan struct{})
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := os.Lstat(old); err != nil {
				close(missing)
				return
			}
		}
	})
	s, err := openSocket(t.Context(), old)
	close(stop)
	all.Wait()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-missing:
		t.Error("there was a moment without a socket")
	default:
	}
	if err := s.remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(old); err == nil {
		t.Error("the socket is left behind")
	}
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := openSocket(t.Context(), old); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("a file in its place: %v, %v", s, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*.*")); err != nil || len(left) != 1 || filepath.Base(left[0]) != "s.lock" {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestApply moves the socket, switches it off and on, and leaves it alone when only something else has changed.
func TestApply(t *testing.T) {
	d := start(t, nil)
	d.healthy(status.SocketServed)
	first, err := os.Lstat(d.socket)
	if err != nil {
		t.Fatal(err)
	}
	d.Apply(Settings{Socket: d.socket, Hosts: []string{"x"}})
	answers := func(path string) bool {
		_, err := verdict.Status(path, time.Now().Add(5*time.Second))
		return err == nil
	}
	until(t, "still there", func() bool { return answers(d.socket) })
	if now, err := os.Lstat(d.socket); err != nil || !os.SameFile(first, now) {
		t.Errorf("another socket: %v", err)
	}
	other := filepath.Join(d.dir, "run/other.sock")
	d.Apply(Settings{Socket: other})
	until(t, "moved", func() bool { return answers(other) && !answers(d.socket) })
	d.Apply(Settings{})
	until(t, "off", func() bool { _, err := os.Lstat(other); return err != nil && !answers(other) })
	d.Apply(Settings{Socket: d.socket})
	until(t, "on again", func() bool { return answers(d.socket) })
}

// TestCrowd holds that those who connect and say nothing, and more than there is room for, neither stop the daemon nor leave anything behind.
func TestCrowd(t *testing.T) {
	d := start(t, nil)
	d.healthy(status.SocketServed)
	d.board.Publish(state(nil))
	var crowd []net.Conn
	for range maxConnections + 40 {
		conn, err := net.Dial("unix", d.socket)
		if err != nil {
			t.Fatal(err)
		}
		crowd = append(crowd, conn)
	}
	closed := 0
	until(t, "those beyond the bound are sent away", func() bool {
		closed = 0
		for _, c := range crowd {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := c.Read(make([]byte, 1)); err != nil && !os.IsTimeout(err) {
				closed++
			}
		}
		return closed >= 40
	})
	if closed != 40 {
		t.Errorf("%d of %d are sent away; want 40", closed, len(crowd))
	}
	for _, c := range crowd {
		_ = c.Close()
	}
	until(t, "the next is served", func() bool {
		_, err := verdict.Status(d.socket, time.Now().Add(5*time.Second))
		return err == nil
	})
}

func TestBucket(t *testing.T) {
	now := time.Unix(100, 0)
	b := newBucket(2, 10)
	b.now = func() time.Time { return now }
	take := func(want ...bool) {
		t.Helper()
		for i, w := range want {
			if got := b.take(); got != w {
				t.Errorf("take %d = %v; want %v", i, got, w)
			}
		}
	}
	take(true, true, false)
	now = now.Add(100 * time.Millisecond)
	take(true, false)
	now = now.Add(-time.Hour)
	take(false)
	now = now.Add(time.Hour)
	take(true, true, false)
}

// TestOwnerOnly holds the kernel's part: the mode is there from the first moment on, whatever the umask is.
func TestOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	config := net.ListenConfig{Control: ownerOnly}
	l, err := config.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || st.Mode&0o777 != 0o600 {
		t.Errorf("mode %o, %v; want 600", st.Mode&0o777, err)
	}
}

func FuzzQuestion(f *testing.F) {
	for _, line := range []string{
		`{"netmend":1,"ask":"verdicts"}`, `{"netmend":1,"ask":"status"}`, `{"netmend":1,"tell":{"command":"ADD","verdict":"warn","ms":1,"findings":[{"severity":"info"}]}}`,
		`{"netmend":1,"tell":null}`, `{"netmend":1,"tell":[]}`, `{"netmend":1e0}`, "", "\x00", `{"netmend":1,"tell":{"ms":-1e300,"pod":"\ud800"}}`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		q, err := parseQuestion(line)
		if err != nil {
			return
		}
		if (q.Ask == "") == (q.Tell == nil) {
			t.Errorf("parseQuestion(%q) = %+v", line, q)
		}
		r, err := parseReport(q.Tell)
		if err != nil {
			return
		}
		if len(r.Findings) > maxFindings || len(r.Message) > maxMessage || len(r.Pod) > maxWord || r.Millis < 0 || !r.At.IsZero() {
			t.Errorf("parseReport(%q) = %+v", q.Tell, r)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("report of %q: %v", q.Tell, err)
		}
	})
}
