package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

const prev = `{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","sandbox":"/run/netns/x"}],"ips":[{"address":"10.244.0.2/24","interface":0}]}`

// request is an ADD in this process's own namespace, with a log.
func request(t *testing.T, keys, args string) (a *skel.CmdArgs, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	conf := fmt.Sprintf(`{"cniVersion":"1.0.0","name":"pods","type":"netmend","socket":"","logFile":%q,"prevResult":%s%s}`, log, prev, keys)
	return &skel.CmdArgs{ContainerID: "box", Netns: "/proc/self/ns/net", IfName: "eth0", Args: args, StdinData: []byte(conf)}, log
}

func readRecord(t *testing.T, log string) *record {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
	return &r
}

// TestPanic has a check that panics: the pod passes or fails, as failurePolicy says, and the log has the stack.
func TestPanic(t *testing.T) {
	bad := &check.Check{Name: "bad", Run: func(*facts.Snapshot) []check.Finding { panic("a mistake\nof two lines") }}
	for _, tt := range []struct {
		name, keys, args string
		fails            bool
	}{
		{"by default", ``, "", false},
		{"Ignore", `,"failurePolicy":"Ignore","mode":"enforce"`, "", false},
		{"Fail", `,"failurePolicy":"Fail"`, "K8S_POD_NAMESPACE=default", true},
		{"Fail, in an exempt namespace", `,"failurePolicy":"Fail"`, "K8S_POD_NAMESPACE=kube-system", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			p := New(&out, &errs)
			p.checks = func(*Config, func(string) bool) []*check.Check { return []*check.Check{bad} }
			a, log := request(t, tt.keys+`,"timeout":"10s"`, tt.args)
			err := p.Add(a)
			var e *types.Error
			switch {
			case !tt.fails && (err != nil || string(p.result) != prev):
				t.Errorf("Add = %v with result %s; want it to pass", err, p.result)
			case tt.fails && (!errors.As(err, &e) || e.Code != types.ErrInternal || e.Msg != "netmend: internal error: a mistake" || p.result != nil):
				t.Errorf("Add = %v with result %s; want an internal error", err, p.result)
			}
			r := readRecord(t, log)
			if r.Level != levelError || r.Panic != "a mistake" || !strings.Contains(r.Stack, "plugin_test.go") {
				t.Errorf("the log has level %s, panic %q, stack %q", r.Level, r.Panic, r.Stack)
			}
			if bytes.Count(errs.Bytes(), []byte("\n")) != 1 || !json.Valid(errs.Bytes()) {
				t.Errorf("standard error is not one line: %s", errs.Bytes())
			}
		})
	}
}

// TestPanicWhileReading has the goroutine that reads panic, in its own frame and in that of another.
func TestPanicWhileReading(t *testing.T) {
	for name, services := range map[string]func() []facts.ServiceIntent{
		"here": func() []facts.ServiceIntent { panic("a mistake") },
		"elsewhere": func() []facts.ServiceIntent {
			h, err := host.Open(host.Options{})
			if err != nil {
				t.Error(err)
				return nil
			}
			defer h.Close()
			_ = h.Node().Do(func() error { panic("a mistake") })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reading{}
			o := collect.PodOptions{Kinds: []facts.Kind{facts.KindServiceVIPs, facts.KindProxy}, Services: services}
			r.read(o, func(*collect.PodFacts, *host.Host) {})
			v := panicked(r.panic, r.stack)
			if v.panicked != "a mistake" || !strings.Contains(v.stack, "plugin_test.go") {
				t.Errorf("panicked = %q, %q; want the mistake and where it was made", v.panicked, v.stack)
			}
		})
	}
}

// TestPanicElsewhere has a panic that nothing else catches: it is an internal error, printed as the specification wants it.
func TestPanicElsewhere(t *testing.T) {
	t.Setenv("CNI_COMMAND", "STATUS")
	t.Setenv("CNI_PATH", "/")
	code, out, _ := wholeWith(t, []byte(`{"cniVersion":"1.1.0","name":"pods","type":"netmend","gate":["ip-forward"]}`), func(p *Plugin) {
		p.checks = nil // whose call panics, which is caught, and told to whom panics again
		p.err = panickyWriter{}
	})
	var e types.Error
	if err := json.Unmarshal(out, &e); code != 1 || err != nil || e.Code != types.ErrInternal {
		t.Errorf("exit code %d with %s; want an internal error", code, out)
	}
}

// panickyWriter panics when a line of the log comes.
type panickyWriter struct{}

func (panickyWriter) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("{")) {
		panic("a mistake")
	}
	return len(b), nil
}

// TestCutOff has no time left: what is not judged is reported as skipped, and the pod passes.
func TestCutOff(t *testing.T) {
	for name, keys := range map[string]string{"by default": ``, "enforced": `,"mode":"enforce"`} {
		t.Run(name, func(t *testing.T) {
			p := New(&bytes.Buffer{}, &bytes.Buffer{})
			p.start = time.Now().Add(-defaultTimeout)
			a, log := request(t, keys, "")
			start := time.Now()
			if err := p.Add(a); err != nil || string(p.result) != prev {
				t.Fatalf("Add = %v with result %s; want it to pass", err, p.result)
			}
			if took := time.Since(start); took > hangTime {
				t.Errorf("it took %s", took)
			}
			r := readRecord(t, log)
			if r.Verdict != verdictPass || len(r.Findings) > 0 {
				t.Errorf("verdict %s, findings %v", r.Verdict, r.Findings)
			}
			skipped := map[string]bool{}
			for _, s := range r.Skipped {
				skipped[s.Check] = s.Reason != ""
			}
			for _, a := range addChecks() {
				if !skipped[a.check.Name] {
					t.Errorf("%s is not reported as skipped", a.check.Name)
				}
			}
		})
	}
}

// TestNothingStaysOpen makes requests that end well, that fail, and that the deadline cuts off: all that they have opened is closed.
func TestNothingStaysOpen(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	run := func() {
		for _, keys := range []string{`,"timeout":"10s"`, `,"timeout":"1ns"`, `,"timeout":"500us"`, `,"mode":"off"`, `,"mode":"x"`} {
			a, _ := request(t, keys, "")
			_ = New(&bytes.Buffer{}, &bytes.Buffer{}).Add(a)
			a.Netns = "/run/netns/gone"
			_ = New(&bytes.Buffer{}, &bytes.Buffer{}).Check(a)
			_ = New(&bytes.Buffer{}, &bytes.Buffer{}).nothing("DEL", a)
		}
	}
	run() // the runtime opens its own
	before := open()
	for range 20 {
		run()
	}
	after := 0
	for end := time.Now().Add(hangTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if after = open(); after <= before {
			return
		}
	}
	t.Errorf("%d descriptors before, %d after", before, after)
}
