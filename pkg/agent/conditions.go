package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/status"
)

// conditions are what the daemon needs, by name.
type conditions struct {
	all map[string]status.Condition
	log func(status.Condition) // of one that has changed
}

// set says that a condition is met, with an empty message, or why not. It tells of a change once.
func (c *conditions) set(now time.Time, name, message string) (changed bool) {
	was, known := c.all[name]
	is := status.Condition{Name: name, OK: message == "", Message: message, Since: now}
	if known && was.OK == is.OK {
		is.Since = was.Since
	}
	c.all[name] = is
	if changed = !known || was.OK != is.OK || was.Message != is.Message; changed && (known || !is.OK) {
		c.log(is)
	}
	return changed
}

// forget says whether there was such a condition.
func (c *conditions) forget(name string) bool {
	_, known := c.all[name]
	delete(c.all, name)
	return known
}

func (c *conditions) list() []status.Condition {
	out := make([]status.Condition, 0, len(c.all))
	for _, name := range slices.Sorted(maps.Keys(c.all)) {
		out = append(out, c.all[name])
	}
	return out
}

// clockWatch finds out whether the wall clock jumps: durations are counted by the other one, which never does.
type clockWatch struct {
	wall   time.Time // at the last look
	last   time.Time // the other clock's
	jumped time.Time // when it was seen
	by     time.Duration
}

const (
	clockSlack = 2 * time.Second // between two looks: NTP slews by less
	clockTold  = time.Hour       // how long a jump is told: so long the journal's times of the last hour may be wrong
)

// look compares the clocks. Its argument has both readings.
func (c *clockWatch) look(now time.Time) (message string) { return c.compare(now.Round(0), now) }

func (c *clockWatch) compare(wall, now time.Time) (message string) {
	if !c.last.IsZero() {
		if d := wall.Sub(c.wall) - now.Sub(c.last); d > clockSlack || d < -clockSlack {
			c.jumped, c.by = now, d
		}
	}
	c.wall, c.last = wall, now
	if c.jumped.IsZero() || now.Sub(c.jumped) > clockTold {
		return ""
	}
	return fmt.Sprintf("the wall clock jumped by %s: durations are right all the same, but times of earlier findings and fixes are not, and limits within an hour may hold for longer",
		c.by.Round(time.Second))
}
