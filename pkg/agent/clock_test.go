package agent

import (
	"strings"
	"testing"
	"time"
)

// TestClock sets the wall clock back and forth between looks at it; the other clock goes on.
func TestClock(t *testing.T) {
	now := time.Now()
	for _, tt := range []struct {
		name string
		jump time.Duration // of the wall clock between the first two looks, which are a second apart
		want string        // in what is said then
	}{
		{"still", 0, ""},
		{"slewed", time.Second, ""},
		{"set back", -time.Hour, "jumped by -1h0m0s"},
		{"set forth", 24 * time.Hour, "jumped by 24h0m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c clockWatch
			wall := func(after time.Duration) time.Time { return now.Round(0).Add(after) }
			if got := c.compare(wall(0), now); got != "" {
				t.Errorf("the first look says %q", got)
			}
			for _, look := range []struct {
				after time.Duration
				want  string
			}{{time.Second, tt.want}, {2 * time.Second, tt.want}, {clockTold, tt.want}, {clockTold + 2*time.Second, ""}} {
				got := c.compare(wall(look.after+tt.jump), now.Add(look.after))
				if (got == "") != (look.want == "") || !strings.Contains(got, look.want) {
					t.Errorf("after %s the look says %q; want %q", look.after, got, look.want)
				}
			}
		})
	}
}
