package agent

import (
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// mind is what is known of the node: its facts, and what each check says of them.
type mind struct {
	checks []*check.Check
	now    *facts.Snapshot // nil before the first audit
	parts  map[string]*check.Report
	dirty  map[string]bool // checks whose facts have changed since they judged

	reading uint64                   // the number of the last reading that was begun
	read    map[facts.Kind]uint64    // in which reading a kind was read
	at      map[facts.Kind]time.Time // when
	born    map[int]time.Time        // links of the node that have appeared since the first audit, and when; of the last minute
}

func newMind(checks []*check.Check) *mind {
	return &mind{
		checks: checks, parts: map[string]*check.Report{}, dirty: map[string]bool{},
		read: map[facts.Kind]uint64{}, at: map[facts.Kind]time.Time{}, born: map[int]time.Time{},
	}
}

// failed says whether a kind could not be read, and why. One of which the node has nothing did not fail.
func (m *mind) failed(k facts.Kind) (why string, failed bool) {
	why, missing := m.now.Missing[k]
	return why, missing && !strings.Contains(why, host.ErrAbsent.Error())
}

// begin numbers a reading that begins now.
func (m *mind) begin() uint64 {
	m.reading++
	return m.reading
}

// take makes what was read of the kinds part of what is known, but for what was read again meanwhile. Base is the snapshot from which s was made; nil where s
// was read by itself.
func (m *mind) take(base, s *facts.Snapshot, kinds []facts.Kind, reading uint64, began time.Time) {
	kinds = slices.DeleteFunc(slices.Clone(kinds), func(k facts.Kind) bool { return m.read[k] > reading })
	old := m.now
	if m.now == nil || base == m.now {
		m.now = s
	} else {
		m.now = collect.Merge(m.now, s, kinds)
	}
	for _, k := range kinds {
		m.read[k], m.at[k] = reading, began
	}
	m.births(old, began)
	m.soil(kinds, old)
}

// grew makes the growth of counters part of what is known. Only checks that judge growth can come to another judgement.
func (m *mind) grew(s *facts.Snapshot, kinds []facts.Kind, reading uint64, began time.Time) {
	m.now = s
	for _, k := range kinds {
		m.read[k], m.at[k] = max(m.read[k], reading), began
	}
	for _, c := range m.checks {
		if c.Window != check.NoWindow {
			m.dirty[c.Name] = true
		}
	}
}

// births notes which links are new.
func (m *mind) births(old *facts.Snapshot, at time.Time) {
	for index, t := range m.born {
		if at.Sub(t) > time.Minute {
			delete(m.born, index)
		}
	}
	if old == nil || len(old.Host.Links) == 0 {
		return
	}
	for i := range m.now.Host.Links {
		l := &m.now.Host.Links[i]
		if was := old.Host.Link(l.Index); (was == nil || was.Name != l.Name) && len(m.born) < maxLinks {
			m.born[l.Index] = at
		}
	}
}

// soil marks the checks that the kinds can bring to another judgement. To compare the rules of all Services takes long where there are many of them: that is done
// when the rules were looked at, or what the plugin needs of them is not as it was, and not for each link that comes and goes.
func (m *mind) soil(kinds []facts.Kind, old *facts.Snapshot) {
	has := func(k facts.Kind) bool { return slices.Contains(kinds, k) }
	compared := old != nil && old.ServiceRules != nil && m.now.ServiceRules != nil && m.now.Intent.Cluster != nil
	if compared {
		compared = !has(facts.KindServices) && !has(facts.KindServiceRules) && !has(facts.KindProxy) && !has(facts.KindIPVS) &&
			slices.Equal(old.ServiceVIPs, m.now.ServiceVIPs)
	}
	for _, c := range m.checks {
		used := uses(c)
		if slices.ContainsFunc(used, has) && !(compared && slices.Contains(used, facts.KindServiceRules)) {
			m.dirty[c.Name] = true
		}
	}
}

// whole says whether a check could judge all there is in a namespace: 0 is the node's.
func (m *mind) whole(name string, netns uint64) bool {
	part := m.parts[name]
	return part != nil && !slices.ContainsFunc(part.Skipped, func(s check.Skip) bool {
		return !s.Partial && (s.On == nil || s.On.NetNS == netns)
	})
}

// report joins what all checks say.
func (m *mind) report() *check.Report { return check.Join(m.now.Host.Inode, m.checks, m.parts) }
