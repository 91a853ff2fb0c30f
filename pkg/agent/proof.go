package agent

import (
	"reflect"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// Bounds of what is remembered of faults that were proven on tunnels.
const (
	maxProofs   = 64
	youngTunnel = 10 * time.Second // its routes and forwarding entries may still be being written
	proofLasts  = time.Hour        // without a new trial
)

// proof is a fault that was proven on a tunnel and mended there. A device that is made anew in its place is mended at once, for what proved the fault, the rules
// of the packet filter and the addresses below, is not made anew with it.
type proof struct {
	check    *check.Check
	finding  check.Finding
	proposal fix.Proposal
	kind     string
	tunnel   facts.Tunnel
	held     time.Time // when it was proven last
}

// proofs are by the name of the tunnel.
type proofs map[string]*proof

// learn remembers what was proven and mended on a tunnel of the node.
func (p proofs) learn(s *facts.Snapshot, c *check.Check, made fix.Proposal, f check.Finding, now time.Time) {
	if made.On.NetNS != s.Host.Inode || len(made.Fix.Changes) != 1 || made.Fix.Changes[0].Knob != fix.Ethtool(facts.FeatureTxChecksum) {
		return
	}
	l := s.Host.Link(made.On.Index)
	if l == nil || l.Tunnel == nil || l.Name != made.On.Name || p[l.Name] == nil && len(p) >= maxProofs {
		return
	}
	if f.Check == "" { // it was expected, as it was before
		f = p[l.Name].expected(made)
	}
	p[l.Name] = &proof{check: c, finding: f, proposal: made, kind: l.Kind, tunnel: *l.Tunnel, held: now}
}

// expected is the finding on the device of a fix that was made without looking for it.
func (p *proof) expected(made fix.Proposal) check.Finding {
	f := check.Finding{Check: made.Check, Severity: check.Warning, Message: made.Message}
	if p != nil {
		f = p.finding
	}
	f.On, f.Fixes = made.On, []fix.Fix{made.Fix}
	return f
}

// fits says whether the fault of a tunnel that was there before must be expected in this one, and gives what mends it.
func (p proofs) fits(l *facts.Link, now time.Time) (fix.Proposal, bool) {
	known := p[l.Name]
	if known == nil || l.Tunnel == nil || l.Kind != known.kind || now.Sub(known.held) > proofLasts || !reflect.DeepEqual(*l.Tunnel, known.tunnel) {
		return fix.Proposal{}, false
	}
	if f, ok := l.Features[facts.FeatureTxChecksum]; !ok || !f.On || l.Index == known.proposal.On.Index {
		return fix.Proposal{}, false
	}
	again := known.proposal
	again.On.Index = l.Index
	again.Fix.Changes = slices.Clone(again.Fix.Changes)
	again.Fix.Changes[0].On.Index = l.Index
	return again, true
}

// try judges on paper what would be found if the mended tunnels were not mended, and forgets what could not be proven any more.
func (p proofs) try(s *facts.Snapshot, born map[int]time.Time, unasked func(check.Finding) bool, now time.Time) {
	for name, known := range p {
		l := s.Host.LinkNamed(name)
		if l == nil || !l.Up || l.Tunnel == nil || now.Sub(born[l.Index]) < youngTunnel {
			if now.Sub(known.held) > proofLasts {
				delete(p, name)
			}
			continue
		}
		paper := *s
		paper.Host.Links = slices.Clone(s.Host.Links)
		on := paper.Host.Link(l.Index)
		on.Features = map[string]facts.Feature{facts.FeatureTxChecksum: {On: true}}
		found := slices.ContainsFunc(audit.JudgeOne(&paper, known.check).Findings, func(f check.Finding) bool {
			return f.On.Index == l.Index && f.On.NetNS == s.Host.Inode && unasked(f)
		})
		if !found || !reflect.DeepEqual(*l.Tunnel, known.tunnel) {
			delete(p, name)
			continue
		}
		known.held = now
	}
}
