package cniconf

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// watching is a Watch that runs.
type watching struct {
	*node
	mu     sync.Mutex
	events []Event
}

func (n *node) watch() *watching {
	n.t.Helper()
	w := &watching{node: n}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	k := n.keeper()
	go func() {
		done <- k.Watch(ctx, func(e Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
		})
	}()
	n.t.Cleanup(func() {
		cancel()
		if err := <-done; err != context.Canceled {
			n.t.Errorf("Watch = %v; want context.Canceled", err)
		}
	})
	return w
}

// until waits for a condition and says how long that took.
func (w *watching) until(what string, cond func() bool) time.Duration {
	w.t.Helper()
	start := time.Now()
	for !cond() {
		if time.Since(start) > 10*time.Second {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("%s: not within 10 s; events %+v", what, w.events)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

func (w *watching) has(name string) func() bool {
	return func() bool {
		data, err := os.ReadFile(filepath.Join(w.conf, name))
		if err != nil {
			return false
		}
		list, err := decode(name, data)
		return err == nil && slices.Contains(types(list), "netmend")
	}
}

const list = `{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"cilium-cni"}]}`

// TestWatch follows a node from before its network is there.
func TestWatch(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for _, dir := range []string{n.conf, filepath.Dir(n.conf), filepath.Dir(n.binary()), filepath.Dir(filepath.Dir(n.binary()))} {
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
	w := n.watch()
	w.until("the program", func() bool { return exists(n.binary()) })
	if err := os.MkdirAll(n.conf, 0o755); err != nil {
		t.Fatal(err)
	}
	n.write("10-a.conflist", list)
	w.until("the first configuration", w.has("10-a.conflist"))

	n.write("10-a.conflist", list)
	if took := w.until("a rewrite", w.has("10-a.conflist")); took > time.Second {
		t.Errorf("a rewrite was answered after %v; want less than a second", took)
	}
	if err := os.Remove(n.binary()); err != nil {
		t.Fatal(err)
	}
	if took := w.until("the program comes back", func() bool { return exists(n.binary()) }); took > time.Second {
		t.Errorf("the program came back after %v; want less than a second", took)
	}
	n.write("10-a.conflist", list[:20]) // half written: the next file is not touched meanwhile
	n.write("20-b.conflist", list)
	time.Sleep(300 * time.Millisecond)
	if w.has("20-b.conflist")() {
		t.Error("the next file was taken while the first was being written")
	}
	n.write("10-a.conflist", list)
	if took := w.until("the whole file", w.has("10-a.conflist")); took > time.Second {
		t.Errorf("a slow rewrite was answered after %v; want less than a second", took)
	}
	if err := os.Rename(n.conf, n.conf+".old"); err != nil { // another directory takes its place
		t.Fatal(err)
	}
	if err := os.MkdirAll(n.conf, 0o755); err != nil {
		t.Fatal(err)
	}
	time.Sleep(600 * time.Millisecond) // it is watched now
	n.write("10-c.conflist", list)
	if took := w.until("a replaced directory", w.has("10-c.conflist")); took > time.Second {
		t.Errorf("in a replaced directory it took %v; want less than a second", took)
	}
}

// TestRivalWins: somebody who rewrites without end is given way to, and named.
func TestRivalWins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.write("05-cilium.conflist", list)
	w := n.watch()
	w.until("the chain", w.has("05-cilium.conflist"))
	for i := range maxAnswers {
		n.write("05-cilium.conflist", list)
		if took := w.until("an answer", w.has("05-cilium.conflist")); took > time.Second {
			t.Errorf("answer %d after %v; want less than a second", i+1, took)
		}
	}
	n.write("05-cilium.conflist", list)
	named := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.events) > 0 && strings.Contains(w.events[len(w.events)-1].Rival, "cni.exclusive")
	}
	w.until("the rival is named", named)
	n.write("05-cilium.conflist", list)
	time.Sleep(700 * time.Millisecond)
	if w.has("05-cilium.conflist")() {
		t.Error("the sixth rewrite in a minute was answered")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.events[len(w.events)-1]
	if slices.Contains(last.Chain, "netmend") {
		t.Errorf("the last event says the chain is %v, which it is not", last.Chain)
	}
	if len(w.events) != maxAnswers+2 || last.Again < 50*time.Second {
		t.Errorf("%d events, the last looks again after %v; want %d, and a minute", len(w.events), last.Again, maxAnswers+2)
	}
}
