package agent

import (
	"errors"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// Truth is what the Kubernetes API wants of the node's Services, kept up to date by somebody else.
type Truth interface {
	// Cluster is what is known now; nil for nothing yet. It is called by several goroutines, and must not wait.
	Cluster() *facts.Cluster
}

// SetTruth lets the rules for Services be compared with what the Kubernetes API wants of them; nil: no longer.
func (a *Agent) SetTruth(t Truth) { a.in.put(func() { a.in.truth = &t }) }

// TruthChanged says that the truth is not what it was. It may be called for each change: they are looked at together.
func (a *Agent) TruthChanged() { a.in.put(func() { a.in.wanted = true }) }

// ForgetCondition takes a condition away that was set with [Agent.SetCondition]: that part of the daemon is not used any more.
func (a *Agent) ForgetCondition(name string) { a.SetCondition(name, errForget) }

var errForget = errors.New("not used")

// When rules are looked at because of what the API server or the kernel told.
const (
	afterRules   = 2 * time.Second // the kernel told of others: whoever writes them does it in several steps
	afterPending = 5 * time.Second // kube-proxy was writing
	afterYoung   = 30 * time.Second
	manyPaths    = 1000
	youngProxy   = 2 * time.Minute // so long checks wait for a kube-proxy that does not say whether it has written
)

// truth is when the rules for Services are to be compared with what the API server wants.
type truth struct {
	source Truth // nil: nobody follows the API server
	known  bool  // it has told everything once
	due    time.Time
	cause  string
	pace   pace
}

// truthKinds are what is read to compare. That of the rules which has not changed is not read again.
func truthKinds() []facts.Kind {
	return []facts.Kind{facts.KindAgents, facts.KindProxy, facts.KindServiceVIPs, facts.KindServices, facts.KindServiceRules}
}

// heed takes what came of the API server.
func (l *loop) heed(in letters, now time.Time) {
	if in.truth != nil {
		l.truth.source, l.truth.known, l.truth.due = *in.truth, false, time.Time{}
		l.unlearn(now)
		if l.truth.source == nil && l.mind.now != nil && l.mind.now.Intent.Cluster != nil {
			l.todo.add("Kubernetes", truthKinds()...)
		}
	}
	switch {
	case !in.wanted || l.truth.source == nil:
	case l.truth.known: // it is looked at when kube-proxy should have written it, too
		l.lookAtTruth(now.Add(l.writing()), "Kubernetes")
	case l.truth.source.Cluster() != nil:
		l.truth.known = true
		l.lookAtTruth(now, "Kubernetes")
	}
}

// unlearn ends the findings that rest on what nobody tells any more.
func (l *loop) unlearn(now time.Time) {
	for k, v := range l.lives.held {
		switch {
		case v.withheld:
			delete(l.lives.held, k)
		case v.finding.ByTruth:
			l.lives.end(v, now)
			l.changed = true
		}
	}
}

// writing is for how long kube-proxy may be writing what has just changed.
func (l *loop) writing() time.Duration {
	var config *facts.ProxyConfig
	if l.mind.now != nil && l.mind.now.Proxy != nil {
		config = l.mind.now.Proxy.Config
	}
	return services.Writing(config) + time.Second
}

// lookAtTruth has the rules compared at some time, or sooner if that was planned.
func (l *loop) lookAtTruth(at time.Time, cause string) {
	if l.truth.source == nil || !l.truth.due.IsZero() && !at.Before(l.truth.due) {
		return
	}
	l.truth.due, l.truth.cause = at, cause
}

// truthAt is when the rules may be compared next; zero where nothing is due.
func (l *loop) truthAt() time.Time {
	if l.truth.due.IsZero() || l.mind.now == nil {
		return time.Time{}
	}
	return later(l.truth.due, l.truth.pace.next())
}

// looksAtTruth makes a comparison that is due a thing to do.
func (l *loop) looksAtTruth(now time.Time) {
	if at := l.truthAt(); !at.IsZero() && !now.Before(at) {
		l.todo.add(l.truth.cause, truthKinds()...)
		l.truth.due = time.Time{}
	}
}

// compared plans the next comparison after one, where that could not judge everything yet.
func (l *loop) compared(j *job, now time.Time) {
	l.truth.pace.done(j.began, now)
	l.tidy()
	c, p := j.s.Intent.Cluster, j.s.Proxy
	if c == nil || c.Unheard != "" || j.s.ServiceRules == nil {
		return
	}
	most := int64(l.writing().Seconds())
	switch {
	case p != nil && p.State != nil && p.State.Pending:
		l.lookAtTruth(now.Add(afterPending), "kube-proxy")
	case p != nil && p.Age > 0 && p.Age < int64(youngProxy.Seconds()):
		l.lookAtTruth(now.Add(afterYoung), "kube-proxy")
	}
	if slices.ContainsFunc(c.Recent, func(r facts.ServiceChange) bool { return r.Age <= most }) {
		l.lookAtTruth(now.Add(l.writing()), "Kubernetes")
	}
}

// tidy gives memory back at once where so much is kept that there should be little beside it: to compare very many rules takes megabytes, for a moment.
func (l *loop) tidy() {
	if r := l.mind.now.ServiceRules; r != nil && len(r.Paths) > manyPaths {
		freeMemory()
	}
}

// intent is what the node must have, as the configuration and the API server say.
func (l *loop) intent() facts.Intent {
	i := l.conf.Intent
	if l.truth.source == nil {
		return i
	}
	if i.Cluster = l.truth.source.Cluster(); i.Cluster == nil || len(i.Services) > 0 {
		return i
	}
	var guessed []facts.ServiceIntent
	if l.mind.now != nil {
		guessed = l.mind.now.Intent.Services
	}
	i.Services = services.Needed(i.Cluster, guessed)
	return i
}

// needed are the Services that pods need, for the plugin: those of the configuration, else those that the API server told; none where nobody did.
func (l *loop) needed() (out []facts.ServiceIntent) {
	if len(l.conf.Intent.Services) > 0 || l.mind.now == nil {
		return l.conf.Intent.Services
	}
	for _, s := range l.mind.now.Intent.Services {
		if s.Source == facts.SourceAPI {
			out = append(out, s)
		}
	}
	return out
}

// renew gives what was read the truth of now: what changed while the rules were read is then known to have changed.
func renew(s *facts.Snapshot, t Truth) {
	if s == nil || t == nil || s.Intent.Cluster == nil {
		return
	}
	if c := t.Cluster(); c != nil {
		s.Intent.Cluster = c
	}
}

// hidden says whether a finding is not told yet.
func (l *loop) hidden(check string, on facts.Ref, message string) bool {
	for _, v := range l.lives.held {
		if v.withheld && v.key.check == check && v.finding.On == on && v.finding.Message == message {
			return true
		}
	}
	return false
}
