package serve

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/pkg/verdict"
)

// room is what is left of an answer's bytes for what is known: the rest is the version and the age.
const room = verdict.MaxAnswer - 64

// answerOf encodes verdicts once, so that the plugin, which has 2 ms, waits for nothing but the sending. It is the answer without its head: see [answerAt].
func answerOf(v Verdicts, state status.State) []byte {
	tail := func(judged []string, findings []check.Finding) []byte {
		data, err := json.Marshal(struct {
			Judged   []string              `json:"judged"`
			Findings []check.Finding       `json:"findings"`
			Services []facts.ServiceIntent `json:"services,omitempty"`
			State    status.State          `json:"state,omitempty"`
		}{append([]string{}, judged...), append([]check.Finding{}, findings...), v.Services, state})
		if err != nil { // a value that JSON has no word for: nothing is said rather than half
			return nil
		}
		return append(data[1:], '\n')
	}
	judged, findings := v.Judged, slices.Clone(v.Findings)
	data := tail(judged, findings)
	if len(data) > room { // what a person would read goes first
		for i := range findings {
			findings[i].Evidence, findings[i].Fixes = nil, nil
		}
		data = tail(judged, findings)
	}
	// A check whose findings do not all fit has judged nothing: what the plugin does not hear of must not look healthy.
	for len(data) > room && len(findings) > 0 {
		name := most(findings)
		judged = slices.DeleteFunc(slices.Clone(judged), func(j string) bool { return j == name })
		findings = slices.DeleteFunc(findings, func(f check.Finding) bool { return f.Check == name })
		data = tail(judged, findings)
	}
	if _, err := verdict.Parse(append(head(0), data...)); err == nil {
		return data
	}
	if v.Services != nil { // Services that the plugin would not believe, or too many of them: it finds out by itself
		return answerOf(Verdicts{Judged: v.Judged, Findings: v.Findings}, state)
	}
	return []byte(`"judged":[],"findings":[]}` + "\n")
}

// head is the start of an answer.
func head(age time.Duration) []byte {
	out := append(make([]byte, 0, 1024), `{"netmend":`...)
	out = strconv.AppendInt(out, verdict.Version, 10)
	out = append(out, `,"age":`...)
	out = strconv.AppendFloat(out, max(0, age).Seconds(), 'f', 3, 64)
	return append(out, ',')
}

// most is the check with the most findings.
func most(findings []check.Finding) (name string) {
	count := map[string]int{}
	for _, f := range findings {
		count[f.Check]++
		if count[f.Check] > count[name] {
			name = f.Check
		}
	}
	return name
}

// answer is the whole answer at that moment. Verdicts that are too old to be believed are left out; which Services there are does not age.
func (p *posted) answer(now time.Time) []byte {
	tail := p.verdicts
	age := now.Sub(p.asOf())
	if age > verdict.MaxAge {
		tail, age = answerOf(Verdicts{Services: p.Verdicts.Services}, p.state()), 0
	}
	return append(head(age), tail...)
}

// state is that of the node.
func (p *posted) state() status.State {
	if p.Status == nil {
		return ""
	}
	return p.Status.State
}

func (p *posted) asOf() time.Time {
	switch {
	case p.Verdicts.AsOf != nil:
		return p.Verdicts.AsOf()
	case p.Status != nil:
		return p.Status.Audit.At
	}
	return time.Time{}
}
