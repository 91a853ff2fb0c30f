package nodereport

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

// Bounds of a report's texts in bytes. metadataBytes is kept free for the object's metadata and what the API server adds to it.
const (
	maxObject     = 200
	maxMessage    = 400
	maxPlan       = 300
	maxWord       = 100
	maxCheck      = 63
	maxFindings   = 100
	maxPods       = 1000
	metadataBytes = 1 << 10
)

// From is what the node says: of the state that the daemon published, the facts that it is about, which are nil before the first look, and what m remembers. It
// is pure, and nothing in it changes while the node stays as it is, but numbers in messages: see [Compare]. Its JSON, with the object's metadata, has at most
// MaxBytes: addresses of pods are left out first, then the least severe findings.
func From(d *status.Document, s *facts.Snapshot, m *Memory) Status {
	r := Status{
		State: d.State, Since: m.since, Mode: d.Mode, Versions: Versions{Netmend: short(d.Versions.Netmend, maxWord), Kernel: short(d.Versions.Kernel, maxWord)},
	}
	if r.Since.IsZero() || m.state != d.State {
		r.Since = d.Started.Truncate(time.Second)
	}
	for _, f := range d.Fixes {
		if f.ID != 0 && f.State != "contested" { // those that were refused have no number
			r.Mended++
		}
	}
	all := Findings(d, m)
	for _, f := range all {
		switch f.Severity {
		case check.Critical:
			r.Critical++
		case check.Warning:
			r.Warning++
		case check.Info:
			r.Info++
		}
	}
	pods := r.Network.read(s, m)
	room := MaxBytes - metadataBytes - size(r) - len(`"findings":[],"omitted":00000,"podAddresses":[],"podsOmitted":00000,`)
	for _, f := range all {
		n := size(f) + 1
		if n > room || len(r.Findings) == maxFindings { // and no smaller, less severe one in its place
			break
		}
		room -= n
		r.Findings = append(r.Findings, f)
	}
	r.Omitted = len(all) - len(r.Findings)
	for _, a := range pods {
		n := len(a.String()) + 3
		if n > room || r.Omitted > 0 || len(r.Network.PodAddresses) == maxPods {
			break
		}
		room -= n
		r.Network.PodAddresses = append(r.Network.PodAddresses, a)
	}
	r.Network.PodsOmitted = len(pods) - len(r.Network.PodAddresses)
	return r
}

// Findings are those that the configuration does not ignore, the worst first, then in the order of their checks and objects. None is left out.
func Findings(d *status.Document, m *Memory) []Finding {
	out := []Finding{}
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Ignored {
			continue
		}
		since := f.FirstSeen.Truncate(time.Second)
		object := short(f.Where, maxObject)
		if was, known := m.first[subject{f.Check, object}]; known && was.since.Before(since) {
			since = was.since
		}
		out = append(out, Finding{
			Check: short(f.Check, maxCheck), Severity: f.Severity, Object: object, Message: short(f.Message, maxMessage), Since: since.UTC(), Plan: short(f.Plan, maxPlan),
		})
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), strings.Compare(a.Check, b.Check), strings.Compare(a.Object, b.Object), strings.Compare(a.Message, b.Message))
	})
	return out
}

// size is that of a value's JSON. The values here always have one.
func size(v any) int {
	text, err := json.Marshal(v)
	if err != nil {
		return MaxBytes
	}
	return len(text)
}
