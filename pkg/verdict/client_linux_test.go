package verdict

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// bound is how long the plugin waits for its answer, and slow what a test forgives a machine that has other work.
const (
	bound = 2 * time.Millisecond
	slow  = 5 * time.Second
)

// serve listens and does what the test wants with each connection. The connections are closed when the test ends.
func serve(t *testing.T, with func(net.Conn)) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			t.Cleanup(func() { c.Close() })
			go with(c)
		}
	}()
	return path
}

// says reads the question and writes a text.
func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		if _, err := bufio.NewReader(c).ReadString('\n'); err == nil {
			fmt.Fprint(c, text)
		}
	}
}

func TestAnswer(t *testing.T) {
	want := &Answer{Netmend: 1, Age: 1.5, Judged: []string{"ip-forward"}, Findings: []check.Finding{{Check: "ip-forward", Severity: check.Critical, On: facts.Ref{Name: "cni0"}, Message: "off"}}}
	line, err := Line(want)
	if err != nil {
		t.Fatal(err)
	}
	half := len(line) / 2
	for _, tt := range []struct {
		name string
		with func(net.Conn)
	}{
		{"whole", says(string(line))},
		{"in pieces", func(c net.Conn) {
			says(string(line[:half]))(c)
			time.Sleep(20 * time.Millisecond)
			fmt.Fprint(c, string(line[half:]))
		}},
		{"more behind it", says(string(line) + "garbage\n")},
		{"closed behind it", func(c net.Conn) {
			says(string(line))(c)
			c.Close()
		}},
		{"unknown keys", says(strings.Replace(string(line), "{", `{"future":[1,2],`, 1))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Ask(serve(t, tt.with))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := c.Answer(time.Now().Add(slow))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("Answer (-want +got):\n%s", d)
			}
		})
	}
}

// TestNoAnswer has daemons that one must not wait for or believe.
func TestNoAnswer(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(net.Conn)
		want error
	}{
		{"hung", func(net.Conn) {}, os.ErrDeadlineExceeded},
		{"half an answer", says(`{"netmend":1,"age":1`), os.ErrDeadlineExceeded},
		{"a byte at a time", func(c net.Conn) {
			for {
				if _, err := c.Write([]byte(" ")); err != nil {
					return
				}
				time.Sleep(100 * time.Microsecond)
			}
		}, os.ErrDeadlineExceeded},
		{"huge", says(strings.Repeat("x", 4<<20)), ErrAnswer},
		{"huge and a line", says(strings.Repeat("x", MaxAnswer+1) + "\n"), ErrAnswer},
		{"closed at once", func(c net.Conn) { c.Close() }, nil},
		{"closed after the question", func(c net.Conn) {
			says("")(c)
			c.Close()
		}, nil},
		{"another version", says(`{"netmend":2,"age":1,"judged":[]}` + "\n"), ErrAnswer},
		{"no version", says("{}\n"), ErrAnswer},
		{"no object", says("[]\n"), ErrAnswer},
		{"no JSON", says("hello\n"), ErrAnswer},
		{"an empty line", says("\n"), ErrAnswer},
		{"too old", says(`{"netmend":1,"age":30.1}` + "\n"), ErrAnswer},
		{"from the future", says(`{"netmend":1,"age":-1}` + "\n"), ErrAnswer},
		{"an age that is none", says(`{"netmend":1,"age":"NaN"}` + "\n"), ErrAnswer},
		{"an address that is none", says(`{"netmend":1,"age":1,"services":[{"vip":"x"}]}` + "\n"), ErrAnswer},
		{"a severity that is none", says(`{"netmend":1,"age":1,"findings":[{"severity":"worst"}]}` + "\n"), ErrAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wait := bound
			if tt.want == ErrAnswer { // it is wrong whenever it comes
				wait = slow
			}
			c, err := Ask(serve(t, tt.with))
			if err != nil {
				if tt.want == nil { // it was closed even before the question
					return
				}
				t.Fatal(err)
			}
			defer c.Close()
			start := time.Now()
			a, err := c.Answer(start.Add(wait))
			if a != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Answer = %v, %v; want %v", a, err, tt.want)
			}
			if took := time.Since(start); took > wait+slow {
				t.Errorf("it waited %s", took)
			}
		})
	}
}

// TestBound asks a daemon that hangs, many times: the fastest shows what the waiting is bound to, whatever else the machine does.
func TestBound(t *testing.T) {
	path := serve(t, func(net.Conn) {})
	fastest, end := slow, time.Now().Add(slow)
	for i := 0; i < 20 || fastest > 2*bound && time.Now().Before(end); i++ {
		start := time.Now()
		c, err := Ask(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Answer(time.Now().Add(bound)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Answer: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest < bound || fastest > 2*bound {
		t.Errorf("the fastest waited %s; want %s and little more", fastest, bound)
	}
}

// TestLate reads an answer that came in time when nobody was looking.
func TestLate(t *testing.T) {
	c, err := Ask(serve(t, says(`{"netmend":1,"age":1,"judged":["hairpin"]}`+"\n")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	deadline := time.Now().Add(slow)
	for late := false; !late; late = time.Now().After(deadline) {
		a, err := c.Answer(time.Now().Add(-time.Second))
		if err == nil && a.Judged[0] == "hairpin" {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Error("an answer that is there is not read")
}

func TestAskRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, "dead")
	l, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	datagrams := filepath.Join(dir, "datagrams")
	d, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: datagrams, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, path := range map[string]string{
		"nothing there": filepath.Join(dir, "gone"), "a file": file, "nobody listens": dead, "another kind": datagrams, "a path that is too long": "/" + strings.Repeat("x", 200), "no path": "",
	} {
		t.Run(name, func(t *testing.T) {
			if c, err := Ask(path); err == nil {
				c.Close()
				t.Errorf("Ask(%s) succeeded", path)
			}
		})
	}
}

// TestFullQueue asks a daemon that does not even accept: it costs nothing.
func TestFullQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 1)); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		c, err := Ask(path)
		if err != nil {
			if !errors.Is(err, syscall.EAGAIN) {
				t.Errorf("Ask: %v; want EAGAIN", err)
			}
			return
		}
		defer c.Close()
	}
	t.Error("a queue of 1 took 10")
}

// TestOtherUser has somebody who is not root listen where the daemon should.
func TestOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("to become another user needs root")
	}
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "s")
	program := filepath.Join(dir, "listener")
	data, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(program, data, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestListener$")
	cmd.Env = []string{listenerVariable + "=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		cmd.Wait()
	}()
	deadline := time.Now().Add(30 * time.Second)
	for {
		c, err := Ask(path)
		if err == nil {
			c.Close()
			t.Fatal("another user's answer would be believed")
		}
		if errors.Is(err, ErrAnswer) && strings.Contains(err.Error(), "65534") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("Ask: %v; want a refusal of user 65534", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// listenerVariable makes [TestListener] the other user's daemon.
const listenerVariable = "NETMEND_TEST_LISTENER"

// TestListener is no test: [TestOtherUser] starts it as another user. It listens until its standard input ends.
func TestListener(t *testing.T) {
	path := os.Getenv(listenerVariable)
	if path == "" {
		t.Skip("another test's helper")
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, _ = os.Stdin.Read(make([]byte, 1))
}

// TestTell reads the question and the news.
func TestTell(t *testing.T) {
	lines := make(chan string, 2)
	path := serve(t, func(c net.Conn) {
		for s := bufio.NewScanner(c); s.Scan(); {
			lines <- s.Text()
		}
	})
	c, err := Ask(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Tell(json.RawMessage(`{"verdict":"warn"}`)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"netmend":1,"ask":"verdicts"}`, `{"netmend":1,"tell":{"verdict":"warn"}}`} {
		select {
		case got := <-lines:
			if got != want {
				t.Errorf("the daemon got %s; want %s", got, want)
			}
		case <-time.After(slow):
			t.Fatalf("the daemon did not get %s", want)
		}
	}
}

// TestTellNobody has news for a daemon that does not read, and for one that is gone: it fails, and neither waits nor ends the process.
func TestTellNobody(t *testing.T) {
	news := json.RawMessage(`"` + strings.Repeat("x", 60<<10) + `"`)
	for name, with := range map[string]func(net.Conn){"does not read": func(net.Conn) {}, "gone": func(c net.Conn) { c.Close() }} {
		t.Run(name, func(t *testing.T) {
			c, err := Ask(serve(t, with))
			if err != nil {
				return // it was gone even before the question
			}
			defer c.Close()
			start := time.Now()
			for range 1000 {
				if err = c.Tell(news); err != nil {
					break
				}
			}
			if took := time.Since(start); err == nil || took > slow {
				t.Errorf("Tell: %v after %s; want an error at once", err, took)
			}
		})
	}
}

// FuzzParse gives a daemon's line: no panic, and nothing is believed that is not of this version and young.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"netmend":1,"age":1.5,"judged":["a"],"findings":[{"check":"a","severity":"critical","on":{"netns":1,"index":2,"name":"x"},"message":"m","fixes":[{"title":"t"}]}],"services":[{"name":"a/b:c","vip":"10.0.0.1","port":1,"protocol":"tcp"}]}`))
	f.Add([]byte(`{"netmend":1,"age":1e999}`))
	f.Add([]byte(` {"netmend":1,"netmend":2,"age":null} `))
	f.Fuzz(func(t *testing.T, line []byte) {
		a, err := Parse(line)
		if err == nil && (a.Netmend != Version || !(a.Age >= 0 && a.Age <= MaxAge.Seconds())) {
			t.Errorf("Parse(%q) = %+v", line, a)
		}
		if err != nil && !errors.Is(err, ErrAnswer) {
			t.Errorf("Parse(%q): %v is no ErrAnswer", line, err)
		}
	})
}
