package agent

import (
	"slices"
	"sync"

	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/status"
)

// Bounds of what waits for the loop.
const (
	maxLinks = 1024 // that are glanced at; all of them are read in any case
	maxNews  = 16   // of the plugin; beyond, it is dropped
)

// inbox is what others have for the loop. Nobody who puts something into it waits.
type inbox struct {
	mu         sync.Mutex
	change     host.Change
	events     int
	config     *config.Config // nil: no other
	news       []status.Report
	conditions map[string]error
	truth      *Truth // nil: no other
	wanted     bool   // the truth is not what it was
	wake       chan struct{}
}

// letters is what was taken out of an inbox.
type letters struct {
	change     host.Change
	events     int
	config     *config.Config
	news       []status.Report
	conditions map[string]error
	truth      *Truth
	wanted     bool
}

func newInbox() *inbox { return &inbox{wake: make(chan struct{}, 1), conditions: map[string]error{}} }

func (in *inbox) put(fn func()) {
	in.mu.Lock()
	fn()
	in.mu.Unlock()
	select {
	case in.wake <- struct{}{}:
	default: // the loop has not yet heard of the last
	}
}

func (in *inbox) putChange(c host.Change) {
	in.put(func() {
		in.events++
		add(&in.change, c)
	})
}

// add makes the change one of both.
func add(c *host.Change, d host.Change) {
	for _, k := range d.Kinds {
		if !slices.Contains(c.Kinds, k) {
			c.Kinds = append(c.Kinds, k)
		}
	}
	for _, i := range d.Links {
		if !slices.Contains(c.Links, i) {
			c.Links = append(c.Links, i)
		}
	}
	c.Links = c.Links[:min(len(c.Links), maxLinks)]
	c.Pods = c.Pods || d.Pods
	if c.Cause == "" || d.Lost && !c.Lost {
		c.Cause = d.Cause
	}
	c.Lost, c.Deaf = c.Lost || d.Lost, d.Deaf
}

// take empties the inbox.
func (in *inbox) take() letters {
	in.mu.Lock()
	defer in.mu.Unlock()
	l := letters{in.change, in.events, in.config, in.news, in.conditions, in.truth, in.wanted}
	in.change, in.events, in.config, in.news, in.conditions = host.Change{}, 0, nil, nil, map[string]error{}
	in.truth, in.wanted = nil, false
	return l
}

// dropChange forgets the changes, and nothing else: conditions, a configuration and news are still waiting.
func (in *inbox) dropChange() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.change, in.events = host.Change{}, 0
}

// waiting says whether a change waits for the loop.
func (in *inbox) waiting() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.events > 0
}
