package herald

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// component is the source of events.
const component = "netmend"

// The reasons of events. They are permanent.
const (
	reasonFound   = "NetworkFaultFound"
	reasonChanged = "NetworkFaultChanged"
	reasonGone    = "NetworkFaultGone"
	reasonMore    = "NetworkFaultsMore"
	reasonWarned  = "PodNetworkWarned"
	reasonRefused = "PodNetworkRefused"
)

// involved is the object that an event is about. kubectl describe asks for events by its uid too.
type involved struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"`
}

// apiEvent is an Event of core/v1, which kubectl describe and kubectl get events read.
type apiEvent struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	Metadata   eventMetadata `json:"metadata"`
	Involved   involved      `json:"involvedObject"`
	Type       string        `json:"type"` // Normal or Warning
	Reason     string        `json:"reason"`
	Message    string        `json:"message"`
	Source     eventSource   `json:"source"`
	Count      int           `json:"count"`
	First      time.Time     `json:"firstTimestamp"`
	Last       time.Time     `json:"lastTimestamp"`
}

type eventMetadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type eventSource struct {
	Component string `json:"component"`
	Host      string `json:"host,omitempty"`
}

// news is one event that is to be told.
type news struct {
	about   involved
	subject string // what it is about, by which a later one takes its place
	reason  string
	warning bool
	message string
	at      time.Time
	initial bool // it may have been told by an earlier process
	paid    bool // it has taken its token
}

// namespace is where the event is kept: one of an object without a namespace must be in default (ValidateEventCreate of k8s.io/kubernetes/pkg/apis/core/validation).
func (n *news) namespace() string {
	if n.about.Namespace == "" {
		return "default"
	}
	return n.about.Namespace
}

// name is the same for the same event, so that it is told once, whichever process tells it. The API server takes names of at most 253 bytes.
func (n *news) name() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{n.about.UID, n.reason, n.subject}, "\x00")))
	return strings.TrimRight(n.about.Name[:min(len(n.about.Name), 200)], ".-") + "." + hex.EncodeToString(sum[:8])
}

func (n *news) event(host string) apiEvent {
	kind := "Normal"
	if n.warning {
		kind = "Warning"
	}
	at := n.at.UTC().Truncate(time.Second)
	return apiEvent{
		APIVersion: "v1", Kind: "Event", Metadata: eventMetadata{n.name(), n.namespace()}, Involved: n.about, Type: kind, Reason: n.reason, Message: n.message,
		Source: eventSource{component, host}, Count: 1, First: at, Last: at,
	}
}

// differences are the events of a node whose findings were these and are those. Findings that are only worth knowing are no events.
func differences(node involved, was []nodereport.Finding, v *view) (out []news) {
	type subject struct{ check, object string }
	before := map[subject]nodereport.Finding{}
	for _, f := range was {
		before[subject{f.Check, f.Object}] = f
	}
	event := func(f nodereport.Finding, reason, message string) {
		out = append(out, news{
			about: node, subject: f.Check + "\x00" + f.Object, reason: reason, warning: reason != reasonGone, message: f.Check + " on " + f.Object + ": " + message, at: v.doc.At,
		})
	}
	for _, f := range v.all {
		k := subject{f.Check, f.Object}
		old, known := before[k]
		delete(before, k)
		switch {
		case f.Severity < check.Warning:
			if known && old.Severity >= check.Warning {
				event(old, reasonGone, "it is not a fault any more: "+f.Message)
			}
		case !known || old.Severity < check.Warning:
			event(f, reasonFound, f.Severity.String()+": "+f.Message)
		case old.Severity != f.Severity || nodereport.Words(old.Message) != nodereport.Words(f.Message):
			event(f, reasonChanged, f.Severity.String()+": "+f.Message)
		}
	}
	for _, f := range was {
		if _, gone := before[subject{f.Check, f.Object}]; gone && f.Severity >= check.Warning {
			event(f, reasonGone, "it is gone"+by(v.doc, f))
			delete(before, subject{f.Check, f.Object})
		}
	}
	return out
}

// by says what made a finding go, where that is known.
func by(d *status.Document, f nodereport.Finding) string {
	for _, r := range d.Resolved {
		if r.Check == f.Check && r.Where == f.Object && r.By != "" {
			return ", by " + r.By
		}
	}
	return ""
}

// ofPod is the event of what the plugin reported; ok is false where it names no pod.
func ofPod(r *status.Report) (n news, ok bool) {
	namespace, name, found := strings.Cut(r.Pod, "/")
	if !found || !word(namespace) || !word(name) {
		return n, false
	}
	n = news{
		about:   involved{APIVersion: "v1", Kind: "Pod", Namespace: namespace, Name: name},
		reason:  reasonWarned,
		warning: true,
		message: r.Message, at: r.At,
	}
	if word(r.PodUID) {
		n.about.UID = r.PodUID
	}
	if r.Verdict == "refuse" {
		n.reason = reasonRefused
	}
	names, lines := []string{r.Command}, []string{}
	for _, f := range r.Findings {
		names = append(names, f.Check+" "+f.On)
		lines = append(lines, f.Check+" on "+f.On+": "+f.Message)
	}
	n.subject = strings.Join(names, "\x00")
	if len(lines) > 0 {
		n.message = strings.Join(lines, "; ")
	}
	n.message = line(n.message)
	return n, true
}

// word says whether a text can be a part of a name or a uid: it becomes a part of a path.
func word(s string) bool {
	return s != "" && len(s) <= 253 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '.'
	}) && strings.Trim(s, ".") != ""
}
