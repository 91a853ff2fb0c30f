package serve

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/netmend/netmend/pkg/status"
)

// Bounds of what the plugin may tell.
const (
	keptReports = 20   // of those that somebody may want to see
	maxFindings = 32   // of one report
	maxWord     = 256  // bytes of a name
	maxMessage  = 1024 // bytes of a sentence
)

// reports are what the plugin told last. The zero value is empty and ready.
type reports struct {
	mu   sync.Mutex
	list []status.Report // the newest first; never changed in place
}

func (r *reports) add(n status.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append([]status.Report{n}, r.list[:min(len(r.list), keptReports-1)]...)
}

func (r *reports) all() []status.Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list
}

// parseReport reads what the plugin tells, cut to what is worth keeping. Keys that are not known are those of a newer plugin.
func parseReport(data []byte) (status.Report, error) {
	var r status.Report
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("decode report: %w", err)
	}
	r.At = time.Time{}
	if r.Millis < 0 {
		r.Millis = 0
	}
	for _, word := range []*string{&r.Command, &r.Network, &r.Pod, &r.PodUID, &r.NetNS, &r.Verdict} {
		*word = short(*word, maxWord)
	}
	r.Message = short(r.Message, maxMessage)
	r.Findings = slices.Clip(r.Findings[:min(len(r.Findings), maxFindings)])
	for i := range r.Findings {
		f := &r.Findings[i]
		f.Check, f.On, f.Message = short(f.Check, maxWord), short(f.On, maxWord), short(f.Message, maxMessage)
	}
	r.Mended = slices.Clip(r.Mended[:min(len(r.Mended), maxFindings)])
	for i := range r.Mended {
		r.Mended[i] = short(r.Mended[i], maxWord)
	}
	return r, nil
}

// short cuts text to a number of bytes, and copies it, so that a long message is not kept in memory for a word of it.
func short(s string, most int) string {
	if len(s) > most {
		s = s[:most]
	}
	return strings.ToValidUTF8(strings.Clone(s), "")
}

// news says whether a report is worth keeping: nobody asks about a pod that was well.
func news(r *status.Report) bool { return r.Verdict != "pass" && r.Verdict != "off" }
