package plugin

import (
	"time"

	"golang.org/x/sys/unix"
)

// alarm closes its channel when the time has come. It waits in a plain system call: a timer would start the runtime's poller first, which takes longer than the call
// that is waited for here nearly always does.
func alarm(at time.Time) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for left := time.Until(at); left > 0; left = time.Until(at) {
			ts := unix.NsecToTimespec(int64(left))
			_ = unix.Nanosleep(&ts, nil) // a signal ends it early
		}
	}()
	return over
}

// growStack makes the caller's stack as large as what it calls needs. It would else be copied each time that it is doubled, and to copy one, the runtime must look up
// every function on it, in tables of which a process that has just started has nothing in memory yet.
//
//go:noinline
func growStack() byte {
	var room [8 << 10]byte
	return room[time.Now().Nanosecond()&1]
}
