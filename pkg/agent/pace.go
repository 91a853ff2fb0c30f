package agent

import "time"

// pace spaces work out: its beginning is never delayed after a rest, but when it comes again and again, it takes a bounded share of the time.
type pace struct {
	least time.Duration // from one end to the next beginning
	rest  int           // how many times as long as the work took it rests at least
	most  time.Duration // that it rests at most
	end   time.Time     // of the last work; zero: none yet
	took  time.Duration
}

// next is when the work may begin.
func (p *pace) next() time.Time {
	if p.end.IsZero() {
		return time.Time{}
	}
	return p.end.Add(min(max(p.least, time.Duration(p.rest)*p.took), p.most))
}

// done says that work has just ended.
func (p *pace) done(began, ended time.Time) { p.end, p.took = ended, ended.Sub(began) }
