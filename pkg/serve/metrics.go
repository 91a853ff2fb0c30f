package serve

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// Results of a fix, as labels of netmend_fixes_total.
const (
	FixVerified  = "verified"  // made and read back
	FixFailed    = "failed"    // it could not be made, and nothing is left of it
	FixUndone    = "undone"    // taken back
	FixContested = "contested" // somebody else sets the value back
	FixRefused   = "refused"   // not begun: a limit, or the journal
	FixGone      = "gone"      // with its object
)

// Build says which program this is.
type Build struct {
	Version, Commit string
	Checks          []*check.Check // those that it runs: no other is a label
}

// Metrics counts what happens. What is the case is read from the board at each scrape. Every label has a bounded number of values: what is not known by name is
// counted as other.
type Metrics struct {
	registry *prometheus.Registry
	build    Build

	fixes      *prometheus.CounterVec
	audits     prometheus.Histogram
	unread     *prometheus.CounterVec
	requests   *prometheus.CounterVec
	took       prometheus.Histogram
	discarded  prometheus.Counter
	asked      *prometheus.CounterVec
	commands   []string
	verdicts   []string
	fixResults []string
	kinds      []facts.Kind
}

// NewMetrics makes the metrics of one daemon.
func NewMetrics(board *Board, b Build) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		registry: prometheus.NewRegistry(), build: b,
		fixes: counter("netmend_fixes_total", "Fixes by what became of them.", "check", "result"),
		audits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "netmend_audit_duration_seconds",
			Help: "Time to read the node, or what of it has changed, and to judge it.", Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 30}}),
		unread:   counter("netmend_collector_errors_total", "Kinds of facts that could not be read.", "kind"),
		requests: counter("netmend_cni_requests_total", "Requests of the container runtime that the plugin has told of.", "command", "verdict"),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "netmend_cni_request_duration_seconds",
			Help: "Time that the plugin took for requests that it has told of.", Buckets: []float64{.001, .002, .005, .01, .015, .02, .05, .1, .5, 1, 10}}),
		discarded:  prometheus.NewCounter(prometheus.CounterOpts{Name: "netmend_socket_discarded_total", Help: "Connections and messages at the socket that were not served: too many, too large, not understood, or of another user."}),
		asked:      counter("netmend_socket_questions_total", "Questions at the socket that were answered.", "ask"),
		commands:   []string{"ADD", "CHECK", "DEL", "GC", "STATUS"},
		verdicts:   []string{"pass", "off", "warn", "refuse", "error"},
		fixResults: []string{FixVerified, FixFailed, FixUndone, FixContested, FixRefused, FixGone},
		kinds:      append(facts.NamespaceKinds(), facts.NodeKinds()...),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.fixes, m.audits, m.unread, m.requests, m.took, m.discarded, m.asked, &gauges{board: board, metrics: m},
	)
	return m
}

// Audited counts a look at the node and how many seconds it took.
func (m *Metrics) Audited(seconds float64) { m.audits.Observe(seconds) }

// Fixed counts what became of a check's fix: one of the results above.
func (m *Metrics) Fixed(check, result string) {
	m.fixes.WithLabelValues(m.check(check), known(m.fixResults, result)).Inc()
}

// Unread counts a kind of facts that could not be read.
func (m *Metrics) Unread(kind facts.Kind) {
	m.unread.WithLabelValues(string(known(m.kinds, kind))).Inc()
}

// request counts a request that the plugin tells of.
func (m *Metrics) request(command, verdict string, seconds float64) {
	m.requests.WithLabelValues(known(m.commands, command), known(m.verdicts, verdict)).Inc()
	m.took.Observe(seconds)
}

// check is a check's name as a label.
func (m *Metrics) check(name string) string {
	if slices.ContainsFunc(m.build.Checks, func(c *check.Check) bool { return c.Name == name }) {
		return name
	}
	return "other"
}

// known is the word, if it is one of the list.
func known[T ~string](list []T, word T) T {
	if slices.Contains(list, word) {
		return word
	}
	return "other"
}
