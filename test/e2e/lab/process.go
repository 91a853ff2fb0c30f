package lab

import (
	"syscall"
	"time"
)

// PID is the program's process. A program that ip netns starts has the same number: it takes ip's place.
func (p *Process) PID() int { return p.group }

// Running says whether the program has not ended yet.
func (p *Process) Running() bool { return !p.ended() }

// Signal sends a signal to the program, unless it has ended.
func (p *Process) Signal(s syscall.Signal) {
	if !p.ended() {
		syscall.Kill(p.group, s)
	}
}

// Ends says whether the program ends within that time.
func (p *Process) Ends(limit time.Duration) bool {
	select {
	case <-p.end:
		return true
	case <-time.After(limit):
		return false
	}
}
