package serve

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/netmend/netmend/pkg/report"
	"github.com/netmend/netmend/pkg/status"
)

// page is the report of the last audit, which renews itself.
func (s *Surfaces) page(w http.ResponseWriter, r *http.Request) {
	p, _ := s.o.Board.last()
	if p == nil || p.Report == nil || p.Snapshot == nil {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`<!DOCTYPE html><meta charset="utf-8"><meta http-equiv="refresh" content="5"><title>netmend</title><p>The node was not audited yet.</p>` + "\n"))
		return
	}
	body, err := s.render(p)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body) // a client that is gone; HEAD gets no body from net/http
}

// live is what the page asks for to learn whether it is still what is the case.
func (s *Surfaces) live(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Tag   string       `json:"tag"`
		State status.State `json:"state"`
		At    string       `json:"at"` // of the last look at the node
	}{State: status.Starting}
	if p, _ := s.o.Board.last(); p != nil && p.Status != nil {
		answer.Tag, answer.State, answer.At = p.tagged(), p.Status.State, p.Status.Audit.At.UTC().Format("15:04:05 MST")
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) // a client that is gone
}

// render makes the page once for a state, for the first who asks.
func (s *Surfaces) render(p *posted) ([]byte, error) {
	p.page.Do(func() {
		doc := report.New(report.Input{
			Snapshot: p.Snapshot, Report: p.Report, Checks: s.o.Metrics.build.Checks, Unasked: s.o.Unasked, Version: s.o.Metrics.build.Version,
		})
		var b bytes.Buffer
		if p.err = report.WriteLive(&b, doc, report.Live{Lines: liveLines(p.Status), Tag: p.tagged(), Ask: "/live"}); p.err == nil {
			p.html = b.Bytes()
		}
	})
	return p.html, p.err
}

// liveLines are what the daemon adds to the report: itself.
func liveLines(d *status.Document) (lines []string) {
	if d == nil {
		return nil
	}
	lines = append(lines, fmt.Sprintf("daemon in mode %s: the node is %s", d.Mode, d.State))
	if d.Chain.Error != "" || d.Chain.Rival != "" || d.Chain.Waiting != "" {
		lines = append(lines, "chain of plugins: "+strings.Join(nonempty(d.Chain.Error, d.Chain.Rival, d.Chain.Waiting), "; "))
	}
	for _, c := range d.Conditions {
		if !c.OK {
			lines = append(lines, "the daemon goes on without "+c.Name+": "+c.Message)
		}
	}
	return lines
}

func nonempty(words ...string) (out []string) {
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// tagged names what a person would see differently: not the times and not the counters, which always change.
func (p *posted) tagged() string {
	p.tagging.Do(func() {
		h := sha256.New()
		e := json.NewEncoder(h)
		if p.Report != nil {
			for _, f := range p.Report.Findings {
				_ = e.Encode([]any{f.Check, f.Severity, f.On, f.Message}) // a hash does not fail
			}
			for _, k := range p.Report.Skipped {
				_ = e.Encode([]any{k.Check, k.Reason})
			}
		}
		_ = e.Encode(liveLines(p.Status))
		p.tag = base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
	})
	return p.tag
}
