package main

import (
	"fmt"
	"sync"
	"time"
)

// progress tells a person who waits at a terminal what is going on; elsewhere it is silent.
type progress struct {
	env *env

	mu       sync.Mutex
	text     string // of the line that is shown; empty: none
	watching bool   // the window passes, and says so itself
	objects  int    // that were read of a cluster
}

// patience is how long nothing is said.
const patience = 2 * time.Second

func newProgress(e *env) *progress { return &progress{env: e} }

// start begins to say how long reading takes, once it takes long. The returned function ends that and clears the line.
func (p *progress) start(what string) (stop func()) {
	if !p.env.isTerminal(p.env.err) {
		return func() {}
	}
	begun, quit, done := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-tick.C:
				if took := now.Sub(begun); took >= patience {
					p.reading(what, took)
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		p.clear()
	}
}

func (p *progress) reading(what string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.watching {
		text := fmt.Sprintf("reading %s: %s", what, took.Truncate(time.Second))
		if p.objects > 0 {
			text += fmt.Sprintf(", %d objects", p.objects)
		}
		p.show(text)
	}
}

// count is called while a cluster is read, from several goroutines.
func (p *progress) count(objects int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.objects = max(p.objects, objects)
}

// window is called by the collector while the window passes.
func (p *progress) window(done, total time.Duration) {
	if !p.env.isTerminal(p.env.err) || total < patience {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watching = done < total
	p.show(fmt.Sprintf("watching the counters: %s of %s", done.Truncate(time.Second), total))
}

// show replaces the line. A terminal that is gone needs no progress, so its error is nobody's.
func (p *progress) show(text string) {
	if text == p.text {
		return
	}
	p.text = text
	_, _ = fmt.Fprintf(p.env.err, "\r\x1b[K%s", text)
}

func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.text != "" {
		_, _ = fmt.Fprint(p.env.err, "\r\x1b[K")
	}
}
