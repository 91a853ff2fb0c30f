package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// Report is what of netmendctl's JSON report the tests look at, by its documented names.
type Report struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Node       NodeInfo  `json:"node"`
	Summary    Summary   `json:"summary"`
	Findings   []Finding `json:"findings"`
	Skipped    []Skip    `json:"skipped"`
	Passed     []string  `json:"passed"`

	t    TB
	Exit int    `json:"-"`
	Text string `json:"-"` // the document
}

// NodeInfo says what was audited.
type NodeInfo struct {
	Pods int `json:"pods"`
}

// Summary counts.
type Summary struct {
	Critical int `json:"critical"`
	Warning  int `json:"warning"`
	Info     int `json:"info"`
	Skipped  int `json:"skipped"`
}

// Finding is one thing that is wrong.
type Finding struct {
	Check    string `json:"check"`
	Severity string `json:"severity"`
	On       struct {
		NetNS uint64 `json:"netns"`
		Index int    `json:"index"`
		Name  string `json:"name"`
	} `json:"on"`
	Where    string `json:"where"`
	Message  string `json:"message"`
	Evidence []struct {
		Fact string `json:"fact"`
		Got  string `json:"got"`
		Want string `json:"want"`
	} `json:"evidence"`
	Fixes []Fix `json:"fixes"`
}

// Fix is one way to mend a finding.
type Fix struct {
	Title    string   `json:"title"`
	Auto     bool     `json:"auto"`
	Commands []string `json:"commands"`
}

// Skip says what was not judged.
type Skip struct {
	Check   string `json:"check"`
	Reason  string `json:"reason"`
	Partial bool   `json:"partial"`
}

// Netmendctl is a command of the program under test.
func Netmendctl(args ...string) *exec.Cmd { return exec.Command(os.Getenv(programVariable), args...) }

// Audit runs netmendctl audit with these arguments. It must give a report.
func Audit(t TB, args ...string) *Report {
	t.Helper()
	cmd := Netmendctl(append([]string{"audit", "-o", "json"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	r := &Report{t: t, Exit: cmd.ProcessState.ExitCode(), Text: out.String()}
	if r.Exit != 0 && r.Exit != 1 {
		t.Fatalf("%v: exit %d: %s", cmd.Args, r.Exit, errs.String())
	}
	if err := json.Unmarshal(out.Bytes(), r); err != nil {
		t.Fatalf("%v: %v in %s", cmd.Args, err, out.String())
	}
	if got, want := r.APIVersion+" "+r.Kind, "netmend.io/v1alpha1 Report"; got != want {
		t.Fatalf("%v: document %q; want %q", cmd.Args, got, want)
	}
	if got, want := r.Exit, min(1, r.Summary.Critical+r.Summary.Warning); got != want {
		t.Errorf("%v: exit %d; want %d with %+v", cmd.Args, got, want, r.Summary)
	}
	return r
}

// Wrong lists the findings that are at least warnings, as "critical tunnel-tx-checksum flannel.1", sorted.
func (r *Report) Wrong() []string {
	out := []string{}
	for _, f := range r.Findings {
		if f.Severity != "info" {
			out = append(out, f.Severity+" "+f.Check+" "+f.On.Name)
		}
	}
	slices.Sort(out)
	return out
}

// Want checks that the report has exactly these findings among those that are at least warnings.
func (r *Report) Want(wrong ...string) *Report {
	r.t.Helper()
	slices.Sort(wrong)
	if !slices.Equal(r.Wrong(), wrong) {
		r.t.Errorf("findings %q; want %q\n%s", r.Wrong(), wrong, r.Describe())
	}
	return r
}

// Find gives the first finding of a check. It must be there.
func (r *Report) Find(check string) Finding {
	r.t.Helper()
	for _, f := range r.Findings {
		if f.Check == check {
			return f
		}
	}
	r.t.Fatalf("no finding of %s\n%s", check, r.Describe())
	return Finding{}
}

// Judged checks that these checks ran, with the evidence of a window or without.
func (r *Report) Judged(checks ...string) *Report {
	r.t.Helper()
	for _, s := range r.Skipped {
		if slices.Contains(checks, s.Check) && !s.Partial {
			r.t.Errorf("%s was skipped: %s", s.Check, s.Reason)
		}
	}
	return r
}

// Describe is the report for the log of a test that failed.
func (r *Report) Describe() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s %s on %s: %s\n", f.Severity, f.Check, f.Where, f.Message)
		for _, e := range f.Evidence {
			fmt.Fprintf(&b, "      %s: %s (want %s)\n", e.Fact, e.Got, e.Want)
		}
		for _, x := range f.Fixes {
			fmt.Fprintf(&b, "      fix: %s: %q\n", x.Title, x.Commands)
		}
	}
	for _, s := range r.Skipped {
		if !s.Partial && !strings.HasPrefix(s.Reason, "not applicable") && !strings.HasPrefix(s.Reason, "no window") {
			fmt.Fprintf(&b, "  skipped %s: %s\n", s.Check, s.Reason)
		}
	}
	return b.String()
}
