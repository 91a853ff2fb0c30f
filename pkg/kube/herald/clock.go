package herald

import "time"

// Clock is the time that a herald goes by. Zero fields are the machine's. Both must be of the same time: one that goes faster in both makes an hour pass in less.
type Clock struct {
	Now   func() time.Time
	Timer func(time.Duration) *time.Timer
}

func (c Clock) filled() Clock {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Timer == nil {
		c.Timer = time.NewTimer
	}
	return c
}
