package verdict

import (
	"bufio"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"
)

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
