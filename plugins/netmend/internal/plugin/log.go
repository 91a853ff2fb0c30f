package plugin

import (
	"encoding/json"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/check"
)

// The levels of logging: errors and refusals, warnings too, every call, and what passed and was skipped as well.
const (
	levelError = "error"
	levelWarn  = "warn"
	levelInfo  = "info"
	levelDebug = "debug"
)

// How long a pod waits for its line to be written: a disk may hang. What has not begun to be written by openTime is not written at all. What has begun gets
// writeTime more, far beyond what a busy node needs, because a process that ends while it writes leaves a torn line: the kernel cuts the write of a dying thread
// short at the end of a page (generic_perform_write, fatal_signal_pending).
const (
	openTime  = 250 * time.Millisecond
	writeTime = 5 * time.Second
)

// record is one call, as the log file, standard error and the daemon get it.
type record struct {
	Time      time.Time `json:"time"`
	Level     string    `json:"level"`
	Plugin    string    `json:"plugin"`
	Command   string    `json:"command"`
	Network   string    `json:"network"`
	Container string    `json:"container,omitempty"`
	IfName    string    `json:"ifName,omitempty"`
	NetNS     string    `json:"netns,omitempty"`
	Pod       string    `json:"pod,omitempty"` // namespace/name
	PodUID    string    `json:"podUID,omitempty"`
	Verdict   string    `json:"verdict"`
	Exempt    bool      `json:"exempt,omitempty"`
	Code      uint      `json:"code,omitempty"`
	Message   string    `json:"message,omitempty"`
	Findings  []finding `json:"findings,omitempty"`
	Mended    []string  `json:"mended,omitempty"`
	Cached    []string  `json:"cached,omitempty"`
	Skipped   []skip    `json:"skipped,omitempty"`
	Passed    []string  `json:"passed,omitempty"`
	Took      float64   `json:"ms"`
	Panic     string    `json:"panic,omitempty"`
	Stack     string    `json:"stack,omitempty"`
}

type finding struct {
	Check    string           `json:"check"`
	Severity check.Severity   `json:"severity"`
	On       string           `json:"on"`
	Message  string           `json:"message"`
	Evidence []check.Evidence `json:"evidence,omitempty"`
	Fix      string           `json:"fix,omitempty"`
	URL      string           `json:"url"`
}

type skip struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
}

// record describes a call and its outcome.
func (c *call) record(v *outcome) *record {
	r := &record{
		Time: c.start.UTC(), Plugin: "netmend", Command: c.command, Network: c.conf.Name, Container: c.args.ContainerID, IfName: c.args.IfName,
		NetNS: c.args.Netns, Verdict: v.verdict, Exempt: v.exempt, Mended: v.mended, Cached: v.cached, Panic: v.panicked, Stack: v.stack,
		Took: float64(time.Since(c.start).Microseconds()) / 1000,
	}
	if namespace, name := c.pod(); namespace != "" {
		r.Pod, r.PodUID = namespace+"/"+name, c.podUID()
	}
	r.Level = levelInfo
	switch {
	case v.verdict == verdictRefuse || v.verdict == verdictError:
		r.Level = levelError
	case v.verdict == verdictWarn:
		r.Level = levelWarn
	}
	for _, f := range append(slices.Clone(v.refused), v.warned...) {
		r.Findings = append(r.Findings, finding{f.Check, f.Severity, f.On.Name, f.Message, f.Evidence, v.remedy(f), page + f.Check + ".md"})
	}
	if v.report == nil {
		return r
	}
	for _, s := range v.report.Skipped {
		if c.conf.LogLevel == levelDebug || !s.Partial && !notApplicable(s) {
			r.Skipped = append(r.Skipped, skip{s.Check, s.Reason})
		}
	}
	for _, name := range v.left {
		r.Skipped = append(r.Skipped, skip{"service-rules-missing", name + ": nothing certain can be said of it while a pod waits; name it in services"})
	}
	if c.conf.LogLevel == levelDebug {
		r.Passed = v.report.Passed
		for _, f := range v.report.Findings {
			if f.Severity < check.Warning {
				r.Findings = append(r.Findings, finding{f.Check, f.Severity, f.On.Name, f.Message, f.Evidence, "", page + f.Check + ".md"})
			}
		}
	}
	return r
}

// tell sends the daemon what was found. News of healthy pods is not worth its time.
func (c *call) tell(r *record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.daemon == nil || r.Level == levelInfo {
		return
	}
	if data, err := json.Marshal(r); err == nil {
		_ = c.daemon.Tell(data) // a daemon that does not listen changes nothing
	}
}

// logger writes records.
type logger struct {
	file  string // empty for none
	level string
	err   io.Writer
}

// warn writes what is worth a person's attention to standard error, which runtimes put into their own log: one line.
func (l *logger) warn(r *record) {
	if l.level == levelError && r.Level != levelError || r.Level == levelInfo && (l.level == levelError || l.level == levelWarn) {
		return
	}
	if line := l.line(r); line != nil {
		_, _ = l.err.Write(line) // there is nowhere left to say that it failed
	}
}

// write appends one line to the log file. The file is opened for each line, so that one that was rotated away is not held, and written by one call, which
// O_APPEND keeps whole beside those of other processes. A pipe that nobody reads and a disk that hangs do not hold the pod up.
func (l *logger) write(r *record) {
	if l.file == "" {
		return
	}
	line := l.line(r)
	var taken atomic.Bool // by who writes, or by who gives up
	done := make(chan struct{})
	go func() {
		defer close(done)
		fd, err := unix.Open(l.file, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0o640)
		if err != nil {
			return
		}
		if taken.CompareAndSwap(false, true) {
			_, _ = unix.Write(fd, line) // a full disk is not the pod's fault
		}
		_ = unix.Close(fd)
	}()
	select {
	case <-done:
		return
	case <-time.After(openTime):
	}
	if taken.CompareAndSwap(false, true) {
		return
	}
	select {
	case <-done:
	case <-time.After(writeTime):
	}
}

func (l *logger) line(r *record) []byte {
	data, err := json.Marshal(r)
	if err != nil {
		return nil
	}
	return append(data, '\n')
}
