package agent

import (
	"fmt"
	"runtime/debug"
)

// guarded calls what reads the node. A panic in it is an error, as if the node could not be read: what was known before stays, and it is tried again. One in a
// goroutine that reads pods ends the process all the same; the next one begins by settling what this one has left.
func (l *loop) guarded(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("reading the node panicked", "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("a fault of netmend: %v", r)
		}
	}()
	return fn()
}
