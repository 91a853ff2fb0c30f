//go:build linux

package main

import (
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/netmend/netmend/pkg/agent"
	"github.com/netmend/netmend/pkg/status"
)

// The parts of the daemon that speak with the API server.
const (
	partServices = "services" // what is wanted of the node is heard
	partTold     = "told"     // what the node says is told
)

// errUntold is of a part that does not know yet.
var errUntold = errors.New("not known yet")

// apiHealth makes one condition of what the parts say that speak with the API server. Several goroutines may use it.
type apiHealth struct {
	met     func(error) // tells the loop
	nothing func()      // tells the loop that there is no such condition

	mu    sync.Mutex
	parts map[string]error // of those that are in use
}

func newAPIHealth(a *agent.Agent) *apiHealth {
	return &apiHealth{
		met: func(err error) { a.SetCondition(status.Kubernetes, err) }, nothing: func() { a.ForgetCondition(status.Kubernetes) }, parts: map[string]error{},
	}
}

// begin says that a part is in use.
func (h *apiHealth) begin(part string) { h.set(part, errUntold) }

// set says that a part hears the API server, with a nil error, or why it does not.
func (h *apiHealth) set(part string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.parts[part] = err
	h.tell()
}

// forget says that a part is not in use any more.
func (h *apiHealth) forget(part string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.parts, part)
	h.tell()
}

// tell tells the loop. A part that does not know yet is no reason to call a condition met, nor broken.
func (h *apiHealth) tell() {
	if len(h.parts) == 0 {
		h.nothing()
		return
	}
	var errs []error
	untold := false
	for _, part := range slices.Sorted(maps.Keys(h.parts)) {
		switch err := h.parts[part]; {
		case errors.Is(err, errUntold):
			untold = true
		case err != nil:
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 || !untold {
		h.met(joined(errs))
	}
}

// joined is all errors on one line; nil for none.
func joined(errs []error) error {
	text := ""
	for i, err := range errs {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	if text == "" {
		return nil
	}
	return errors.New(text)
}
