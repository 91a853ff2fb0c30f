package verdict

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// bound is how long the plugin waits for its answer, and slow what a test forgives a machine that has other work.
const (
	bound = 2 * time.Millisecond
	slow  = time.Minute
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
		{"a Service without address and name", says(`{"netmend":1,"age":1,"services":[{"port":1,"protocol":"tcp"}]}` + "\n"), ErrAnswer},
		{"a Service without port", says(`{"netmend":1,"age":1,"services":[{"name":"a/b","vip":"10.0.0.1","protocol":"tcp"}]}` + "\n"), ErrAnswer},
		{"a Service of an odd protocol", says(`{"netmend":1,"age":1,"services":[{"name":"a/b","port":1,"protocol":"TCP"}]}` + "\n"), ErrAnswer},
		{"too many Services", says(`{"netmend":1,"age":1,"services":[` + strings.Repeat(`{"name":"a/b","port":1,"protocol":"tcp"},`, 64) + `{"name":"a/b","port":1,"protocol":"tcp"}]}` + "\n"), ErrAnswer},
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
