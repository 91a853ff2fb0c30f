package collect

import "time"

// secondSample waits until the window has passed since start, reads the counters again and turns them into deltas.
func (c *collection) secondSample(start time.Time, window time.Duration, progress func(done, total time.Duration)) {
}
