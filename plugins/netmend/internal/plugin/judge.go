package plugin

import (
	"errors"
	"io/fs"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/verdict"
)

// reading is what the goroutine that reads hands over. The kernel cannot be interrupted, so the deadline leaves it behind.
type reading struct {
	mu    sync.Mutex
	facts *collect.PodFacts // the newest; nil for none yet
	host  *host.Host        // once it is done
	left  bool              // nobody waits for it any more
	err   error
	panic any
	stack []byte
}

// judge reads the pod and its node and runs the checks.
func (p *Plugin) judge(c *call, mend bool) *outcome {
	list := p.checks(c.conf, func(string) bool { return true })
	c.ask()
	v := p.run(c, list, collect.PodOptions{NetNS: c.args.Netns, Result: c.result})
	if v.verdict == verdictError {
		return v
	}
	if mend && v.host != nil {
		c.mend(v)
	}
	v.decide(c)
	return v
}

// judgeNode runs the checks of gate without a pod, whatever their modes are: those are for pods.
func (p *Plugin) judgeNode(c *call) *outcome {
	list := p.checks(&Config{Mode: ModeWarn}, func(name string) bool { return slices.Contains(c.conf.Gate, name) })
	if len(list) == 0 {
		return &outcome{verdict: verdictPass}
	}
	c.ask()
	v := p.run(c, list, collect.PodOptions{})
	if v.verdict == verdictError {
		return v
	}
	for _, f := range v.report.Findings {
		if f.Severity >= check.Warning {
			v.verdict = verdictRefuse
			v.refused = append(v.refused, f)
		}
	}
	return v
}

// run collects within the deadline and judges what there is.
func (p *Plugin) run(c *call, list []*check.Check, o collect.PodOptions) *outcome {
	o.Until = c.deadline()
	o.Kinds = kindsOf(list)
	o.Intent.Services = c.conf.Services
	answer := (*verdict.Answer)(nil)
	if c.conf.Services == nil {
		o.Services = func() []facts.ServiceIntent {
			if answer = c.answer(); answer != nil {
				return answer.Services
			}
			return nil
		}
	}
	r := &reading{}
	late := o.Until
	detect := c.conf.DetectConflict && o.NetNS != ""
	if detect { // which has a time of its own behind the other
		late = late.Add(probeBound)
	}
	done, over := make(chan struct{}), alarm(late)
	go func() {
		defer close(done)
		growStack()
		r.read(o, func(f *collect.PodFacts, h *host.Host) {
			if detect {
				probe(f.Snapshot, h)
			}
		})
	}()
	inTime := true
	select {
	case <-done:
	case <-over:
		inTime = false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.host, r.left = r.host, !inTime
	switch {
	case r.panic != nil:
		return panicked(r.panic, r.stack)
	case r.err != nil:
		return unread(r.err, list)
	case r.facts == nil:
		return unread(errors.New("nothing was read in time"), list)
	}
	v := &outcome{report: check.Run(r.facts.Snapshot, list), snapshot: r.facts.Snapshot, left: r.facts.Left}
	if inTime { // else the goroutine still has them
		v.host = r.host
		if answer == nil {
			answer = c.answer()
		}
		v.believe(answer, list)
	}
	return v
}

func (r *reading) read(o collect.PodOptions, after func(*collect.PodFacts, *host.Host)) {
	defer func() {
		if v := recover(); v != nil {
			r.mu.Lock()
			r.panic, r.stack = v, debug.Stack()
			r.mu.Unlock()
		}
	}()
	h, err := host.Open(host.Options{})
	if err == nil {
		o.Publish = func(f *collect.PodFacts) {
			r.mu.Lock()
			r.facts = f
			r.mu.Unlock()
		}
		var f *collect.PodFacts
		if f, err = collect.Pod(h, o); err == nil {
			after(f, h)
			o.Publish(f)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left && h != nil {
		_ = h.Close() // it was only read from
		return
	}
	r.host, r.err = h, err
}

// unread is the outcome where nothing could be read. A pod whose namespace is gone is not healthy, whatever the policy is: every plugin would say so.
func unread(err error, list []*check.Check) *outcome {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, host.ErrNoNamespace) {
		return &outcome{verdict: verdictError, err: types.NewError(types.ErrInvalidNetNS, "netmend: "+err.Error(), "")}
	}
	v := &outcome{report: &check.Report{}}
	for _, c := range list {
		v.report.Skipped = append(v.report.Skipped, check.Skip{Check: c.Name, Reason: err.Error()})
	}
	return v
}

// believe adds what the daemon found by checks that could not be judged here, or not with all of their evidence.
func (v *outcome) believe(a *verdict.Answer, list []*check.Check) {
	if a == nil {
		return
	}
	for _, c := range list {
		if !slices.Contains(a.Judged, c.Name) || !v.open(c) {
			continue
		}
		v.cached = append(v.cached, c.Name)
		v.report.Skipped = slices.DeleteFunc(v.report.Skipped, func(s check.Skip) bool { return s.Check == c.Name })
		for _, f := range a.Findings {
			known := slices.ContainsFunc(v.report.Findings, func(g check.Finding) bool { return g.Check == f.Check && g.On == f.On && g.Severity >= f.Severity })
			if f.Check == c.Name && !known && f.Severity >= check.Info && f.Severity <= c.Severity && f.Message != "" {
				v.report.Findings = append(v.report.Findings, f)
			}
		}
	}
}

// open says whether the check is left to the daemon: it was skipped, or it rests on rules that only the daemon reads.
func (v *outcome) open(c *check.Check) bool {
	return c == checks.TunnelTxChecksum || c == checks.ServiceRulesMissing && len(v.left) > 0 ||
		slices.ContainsFunc(v.report.Skipped, func(s check.Skip) bool { return s.Check == c.Name && !notApplicable(s) })
}
