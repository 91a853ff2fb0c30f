package nodereport

import (
	"net/netip"
	"time"

	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

// Sticky is for how long after it was seen last something is told that comes and goes by itself: a window of the counters in which packets were dropped, an
// entry of the connection tracking. A report would else change with each window.
const Sticky = 30 * time.Minute

// maxRemembered bounds how many translated ends are remembered.
const maxRemembered = 1024

// Memory is what a report tells that the last look alone does not say. The zero value is ready. It belongs to one goroutine. Its clock is [status.Document.At].
type Memory struct {
	state      status.State
	since      time.Time            // of the state
	first      map[subject]mark     // of findings that an earlier report told
	dropped    map[string]time.Time // by the tunnel's name: when it was seen last
	suspected  map[string]time.Time
	translated map[flow]time.Time
	seen       *facts.Snapshot // the last, and what is known of its tunnels
	tunnels    []checks.TunnelEvidence
	more       int // tunnels
}

// subject tells findings apart.
type subject struct{ check, object string }

// mark is the beginning of a finding.
type mark struct{ since time.Time }

// flow is a tunnel's packets to one end.
type flow struct {
	tunnel string
	to     netip.Addr
}

// Recall takes up what an earlier process has reported, so that a daemon that is started again says the same of a node that has not changed.
func (m *Memory) Recall(was *Status, now time.Time) {
	m.ready()
	if m.state == "" || m.state == was.State && was.Since.Before(m.since) {
		m.state, m.since = was.State, was.Since
	}
	for _, f := range was.Findings {
		m.first[subject{f.Check, f.Object}] = mark{f.Since}
	}
	for _, t := range was.Network.Tunnels {
		if t.BadChecksums {
			m.dropped[t.Name] = now
		}
		if t.BadChecksumsLikely {
			m.suspected[t.Name] = now
		}
		for _, to := range t.Translated {
			m.translated[flow{t.Name, to}] = now
		}
	}
}

func (m *Memory) ready() {
	if m.first == nil {
		m.first, m.dropped, m.suspected, m.translated = map[subject]mark{}, map[string]time.Time{}, map[string]time.Time{}, map[flow]time.Time{}
	}
}

// See takes what the daemon knows now. It is to be called before [From], and at least once for each window of the counters. s is nil before the first look.
func (m *Memory) See(d *status.Document, s *facts.Snapshot) {
	m.ready()
	now := d.At
	if Told(d.State) && d.State != m.state {
		m.state, m.since = d.State, now.Truncate(time.Second)
	}
	forget(m.dropped, now)
	forget(m.suspected, now)
	forget(m.translated, now)
	if s == nil || s == m.seen {
		return
	}
	m.seen = s
	m.tunnels, m.more = checks.Tunnels(s)
	for _, e := range m.tunnels {
		if e.Dropped {
			m.dropped[e.Tunnel.Name] = now
		}
		if e.Suspected {
			m.suspected[e.Tunnel.Name] = now
		}
		for _, to := range e.Translated {
			if f := (flow{e.Tunnel.Name, to}); len(m.translated) < maxRemembered || !m.translated[f].IsZero() {
				m.translated[f] = now
			}
		}
	}
}

// forget drops what was seen too long ago. A wall clock that was set back makes nothing last longer.
func forget[K comparable](seen map[K]time.Time, now time.Time) {
	for k, at := range seen {
		if age := now.Sub(at); age > Sticky || age < -Sticky {
			delete(seen, k)
		}
	}
}

// Told says whether a state is one that is worth a report: a daemon that begins or ends says nothing new of the node.
func Told(s status.State) bool {
	return s == status.Proven || s == status.Faulty || s == status.Unproven
}
