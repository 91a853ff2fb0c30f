package serve

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/status"
)

// gauges are the metrics of what is the case. They are read from the board when somebody asks, so that nothing has to be kept in step.
type gauges struct {
	board   *Board
	metrics *Metrics
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe says nothing: which metrics there are depends on what was found.
func (g *gauges) Describe(chan<- *prometheus.Desc) {}

// Collect gives the metrics of now.
func (g *gauges) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(desc("netmend_build_info", "The program that runs.", "version", "commit"), 1, g.metrics.build.Version, g.metrics.build.Commit)
	p, _ := g.board.last()
	if p == nil || p.Status == nil {
		return
	}
	d := p.Status
	states := desc("netmend_node_state", "1 for the state that the node is in.", "state")
	for _, s := range []status.State{status.Starting, status.Proven, status.Faulty, status.Unproven, status.Stopping} {
		gauge(states, one(d.State == s), string(s))
	}
	gauge(desc("netmend_ready", "1 when the node was audited and mended once since the start."), one(d.Ready))
	gauge(desc("netmend_mode", "1 for the mode that is in force.", "mode"), 1, d.Mode)
	if at := d.Audit.At; !at.IsZero() {
		gauge(desc("netmend_last_audit_timestamp_seconds", "When the facts of the last look were read."), seconds(at))
	}
	if at := d.Audit.Full; !at.IsZero() {
		gauge(desc("netmend_last_full_audit_timestamp_seconds", "When all facts were read last."), seconds(at))
	}
	conditions := desc("netmend_condition", "1 while the daemon has what it needs, 0 while it goes on without.", "condition")
	seen := map[string]bool{}
	for _, c := range d.Conditions {
		if !seen[c.Name] { // a metric that is given twice spoils the whole answer
			seen[c.Name] = true
			gauge(conditions, one(c.OK), c.Name)
		}
	}
	g.findings(d, gauge)
	gauge(desc("netmend_chain", "1 while the plugin is in the chain of the configuration that the container runtime uses."), one(d.Chain.In))
}

// findings counts those that hold, with a zero for each check that found nothing, and the checks that could not judge.
func (g *gauges) findings(d *status.Document, gauge func(*prometheus.Desc, float64, ...string)) {
	type label struct {
		check    string
		severity check.Severity
	}
	count := map[label]float64{}
	for _, c := range g.metrics.build.Checks {
		count[label{c.Name, c.Severity}] = 0
	}
	for _, f := range d.Findings {
		if !f.Ignored && f.Severity >= check.Info && f.Severity <= check.Critical {
			count[label{g.metrics.check(f.Check), f.Severity}]++
		}
	}
	findings := desc("netmend_findings", "Findings that hold and are not ignored.", "check", "severity")
	for l, n := range count {
		gauge(findings, n, l.check, l.severity.String())
	}
	unjudged := map[string]bool{}
	for _, s := range d.Skipped {
		if !strings.HasPrefix(s.Reason, "not applicable: ") { // as check.Run says where there is nothing to judge
			unjudged[g.metrics.check(s.Check)] = true
		}
	}
	skipped := desc("netmend_checks_skipped", "1 for a check that could not judge the node, or not all of it.", "check")
	for name := range unjudged {
		gauge(skipped, 1, name)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
