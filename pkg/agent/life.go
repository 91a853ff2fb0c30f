package agent

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// Bounds of what is remembered of findings.
const (
	maxHeld     = 2000             // that hold; beyond, the least severe are not told
	maxOver     = 100              // that went away
	flapping    = 10 * time.Minute // one that comes back within this time is the same one
	leastSettle = 10 * time.Second // that a finding must last where nobody says otherwise
)

// key tells findings apart. It has no index: a device that is made anew has the same finding again.
type key struct {
	check string
	netns uint64
	name  string
	nth   int // of several findings of a check on one object
}

// life is that of one finding.
type life struct {
	key     key
	finding check.Finding
	first   time.Time // when it was seen first; one that flaps was seen long ago
	since   time.Time // from when on it has held without a gap
	last    time.Time // when it was seen last
	seen    int       // how often, without a gap
	static  bool      // it was there when the object or the daemon was new: it proves itself and need not last
	settled bool
	asked   bool // for one more look

	withheld bool // nobody is told before it has lasted: it rests on two things that do not change at one moment

	proposal fix.Proposal  // what would mend it
	why      string        // why that is not done; empty where it is
	lasting  time.Duration // that it must last first
	ignored  bool          // by the configuration

	over time.Time // when it went away; zero while it holds
	by   string    // what resolved it

	fix     int       // of the journal, that was made for it; 0: none
	outcome string    // what came of the last attempt to mend it
	again   time.Time // before when it is not tried again
	pause   time.Duration
	said    string // in the log, of the last attempt
}

// lives are all findings, those that hold and the last that do not.
type lives struct {
	held map[key]*life
	over []*life // the newest first
	more int     // that hold and are not told
}

func newLives() *lives { return &lives{held: map[key]*life{}} }

// see takes a report of now. Judged are the checks that have looked anew; of the others nothing is learned. Whole says whether a check could judge all of a
// namespace; fresh, whether an object is new. Came and went are told to a person.
func (s *lives) see(now time.Time, r *check.Report, judged map[string]bool, whole func(string, uint64) bool, fresh func(facts.Ref) bool) (came, went []*life) {
	count, there := map[key]int{}, map[key]bool{}
	s.more = 0
	for _, f := range r.Findings {
		k := key{f.Check, f.On.NetNS, f.On.Name, 0}
		count[k]++
		k.nth = count[k] - 1
		there[k] = true
		l := s.held[k]
		switch {
		case l == nil && len(s.held) >= maxHeld:
			s.more++
			continue
		case l == nil:
			l = s.born(k, f, now)
			l.static = fresh(f.On)
			came = append(came, l)
		case l.finding.On != f.On: // another object of the same name
			l.since, l.seen, l.static, l.settled, l.asked, l.fix = now, 0, fresh(f.On), false, false, 0
		}
		l.finding = f
		if judged[f.Check] {
			l.last = now
			l.seen++
			l.asked = l.asked && now.Sub(l.since) < l.lasting
		}
	}
	for k, l := range s.held {
		// One that a root cause hides now has gone too, though its check has not looked again.
		switch {
		case there[k] || !whole(k.check, k.netns):
		case l.withheld: // nobody was told of it
			delete(s.held, k)
		default:
			s.end(l, now)
			went = append(went, l)
		}
	}
	slices.SortFunc(went, func(a, b *life) int { return a.first.Compare(b.first) })
	return came, went
}

// born begins a life, or takes up one that ended a short while ago. One that is withheld does that when it is told.
func (s *lives) born(k key, f check.Finding, now time.Time) *life {
	l := &life{key: k, finding: f, first: now, since: now, last: now, withheld: f.ByTruth}
	if !l.withheld {
		s.again(l, now)
	}
	s.held[k] = l
	return l
}

// again takes up a life that ended a short while ago.
func (s *lives) again(l *life, now time.Time) {
	i := slices.IndexFunc(s.over, func(o *life) bool { return o.key == l.key })
	if i < 0 {
		return
	}
	if was := s.over[i]; now.Sub(was.over) < flapping {
		l.first, l.outcome, l.again, l.pause, l.said = was.first, was.outcome, was.again, was.pause, was.said
	}
	s.over = slices.Delete(s.over, i, i+1)
}

// tell ends the withholding of a finding.
func (s *lives) tell(l *life, now time.Time) {
	if l.withheld {
		l.withheld = false
		s.again(l, now)
	}
}

// end ends a life.
func (s *lives) end(l *life, now time.Time) {
	delete(s.held, l.key)
	l.over = now
	s.over = slices.Insert(s.over, 0, l)
	s.over = s.over[:min(len(s.over), maxOver)]
}

// settle says whether the finding has lasted, and was seen to last, and remembers it.
func (l *life) settle(now time.Time) bool {
	l.settled = l.settled || l.static || l.lasting == 0 || l.seen > 1 && l.last.Sub(l.since) >= l.lasting
	return l.settled
}

// believed says whether others may be told of the finding: one that compares the node with what the Kubernetes API told must have lasted.
func (l *life) believed() bool {
	return !l.finding.ByTruth || l.lasting == 0 || l.seen > 1 && l.last.Sub(l.since) >= l.lasting
}

// unsure says whether one more look is needed before the finding may be mended or told, and nobody has asked for it.
func (l *life) unsure() bool {
	if l.asked || l.last.Sub(l.since) >= l.lasting {
		return false
	}
	return l.withheld || l.why == "" && !l.settled && !l.static
}

// sorted lists the findings that hold, the worst first.
func (s *lives) sorted(conf *config.Config) []*life {
	out := slices.Collect(maps.Values(s.held))
	byRank(out, conf)
	return out
}

func byRank(list []*life, conf *config.Config) {
	slices.SortFunc(list, func(a, b *life) int {
		return cmp.Or(cmp.Compare(conf.Severity(b.finding), conf.Severity(a.finding)), cmp.Compare(a.key.check, b.key.check),
			cmp.Compare(a.key.netns, b.key.netns), cmp.Compare(a.key.name, b.key.name), cmp.Compare(a.key.nth, b.key.nth))
	})
}
