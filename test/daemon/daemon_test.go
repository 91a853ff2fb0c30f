package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/pkg/verdict"
	"github.com/netmend/netmend/test/e2e/lab"
)

// patience is how long anything may take on a machine that is busy with other things.
const patience = time.Minute

// listen is where a daemon serves HTTP, in its node's namespace.
const listen = config.DefaultListen

// daemon is netmendd on a node.
type daemon struct {
	t      *testing.T
	n      *lab.Node
	run    string // the directory of socket and node-state
	args   []string
	p      *lab.Process
	client *http.Client
}

// newDaemon writes the configuration, whose lines follow those that every one has. It is not started.
func newDaemon(t *testing.T, n *lab.Node, mode string, lines ...string) *daemon {
	t.Helper()
	run, err := os.MkdirTemp("/tmp", "nmd") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(run) })
	d := &daemon{t: t, n: n, run: run}
	d.configure(mode, lines...)
	d.args = []string{
		"--root", n.Root, "--config", filepath.Join(n.Root, "etc/netmend/netmend.yaml"), "--node-state", d.nodeStateFile(), "--socket", d.socket(),
		"--plugin", filepath.Join(os.Getenv(programs), "netmend"),
	}
	d.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, addr string) (c net.Conn, err error) {
			err = n.Do(func() error {
				c, err = net.DialTimeout(network, addr, 5*time.Second)
				return err
			})
			return c, err
		},
	}}
	return d
}

// configure replaces the configuration as an editor does.
func (d *daemon) configure(mode string, lines ...string) {
	d.t.Helper()
	head := []string{"apiVersion: netmend.io/v1alpha1", "kind: NetmendConfiguration", "mode: " + mode, "log: {level: debug}"}
	path := "etc/netmend/netmend.yaml"
	d.n.Write(path+".new", "%s\n", strings.Join(append(head, lines...), "\n"))
	if err := os.Rename(filepath.Join(d.n.Root, path+".new"), filepath.Join(d.n.Root, path)); err != nil {
		d.t.Fatal(err)
	}
}

func (d *daemon) socket() string        { return filepath.Join(d.run, "s") }
func (d *daemon) nodeStateFile() string { return filepath.Join(d.run, "node-state") }

// start runs the daemon until the test ends.
func (d *daemon) start() *daemon {
	d.t.Helper()
	d.p = d.n.Start(filepath.Join(os.Getenv(programs), "netmendd"), d.args...)
	d.t.Cleanup(func() {
		if d.t.Failed() {
			d.t.Logf("netmendd said at last:%s", d.log(40))
		}
	})
	return d
}

// stop ends the daemon as systemd does.
func (d *daemon) stop() {
	d.t.Helper()
	d.p.Signal(syscall.SIGTERM)
	if !d.p.Ends(patience) {
		d.t.Fatalf("netmendd does not end on SIGTERM:%s", d.log(40))
	}
}

// log gives the last lines of what the daemon said.
func (d *daemon) log(lines int) string {
	data, err := os.ReadFile(d.p.Log)
	if err != nil {
		return " " + err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "\n" + strings.Join(all[max(0, len(all)-lines):], "\n")
}

// status asks the daemon over its socket.
func (d *daemon) status() (*status.Document, error) {
	data, err := verdict.Status(d.socket(), time.Now().Add(10*time.Second))
	if err != nil {
		return nil, err
	}
	var s status.Document
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, err
	}
	return &s, nil
}

// until asks for the status until what is missing is nothing, and gives it.
func (d *daemon) until(what string, missing func(*status.Document) string) *status.Document {
	d.t.Helper()
	var s *status.Document
	lab.WaitFor(d.t, patience, what, func() (bool, string) {
		var err error
		if s, err = d.status(); err != nil {
			return false, err.Error() + d.log(10)
		}
		m := missing(s)
		return m == "", m + "\n" + describe(s) + d.log(10)
	})
	return s
}

// ready waits until the daemon says so.
func (d *daemon) ready() *status.Document {
	d.t.Helper()
	return d.until("netmendd to be ready", func(s *status.Document) string {
		if !s.Ready {
			return "it is " + string(s.State)
		}
		return ""
	})
}

// condition is one of the daemon's own.
func condition(s *status.Document, name string) status.Condition {
	i := slices.IndexFunc(s.Conditions, func(c status.Condition) bool { return c.Name == name })
	if i < 0 {
		return status.Condition{}
	}
	return s.Conditions[i]
}

// untilCondition waits until a condition is met, or is not and says why.
func (d *daemon) untilCondition(name string, ok bool, why string) *status.Document {
	d.t.Helper()
	return d.until(fmt.Sprintf("the condition %s to be %v", name, ok), func(s *status.Document) string {
		c := condition(s, name)
		if c.Name == "" || c.OK != ok || !strings.Contains(c.Message, why) {
			return fmt.Sprintf("%+v, not with %q", c, why)
		}
		return ""
	})
}

// finding gives what holds of a check; nil for nothing.
func finding(s *status.Document, check string) *status.Finding {
	i := slices.IndexFunc(s.Findings, func(f status.Finding) bool { return f.Check == check })
	if i < 0 {
		return nil
	}
	return &s.Findings[i]
}

func describe(s *status.Document) string {
	var b strings.Builder
	fmt.Fprintf(&b, "mode %s, state %s, ready %v, %d looks, the last of %s\n", s.Mode, s.State, s.Ready, s.Audit.Total, s.Audit.Cause)
	for _, f := range s.Findings {
		fmt.Fprintf(&b, "finding: %s %s on %s: %s; plan: %s\n", f.Severity, f.Check, f.Where, f.Message, f.Plan)
	}
	for _, f := range s.Fixes {
		fmt.Fprintf(&b, "fix: %d %s on %s: %s %s\n", f.ID, f.Check, f.On.Name, f.State, f.Reason)
	}
	for _, c := range s.Conditions {
		if !c.OK {
			fmt.Fprintf(&b, "condition: %s: %s\n", c.Name, c.Message)
		}
	}
	fmt.Fprintf(&b, "chain: %+v", s.Chain)
	return b.String()
}

// nodeState reads the file for others.
func (d *daemon) nodeState() (n serve.NodeState, err error) {
	data, err := os.ReadFile(d.nodeStateFile())
	if err == nil {
		err = json.Unmarshal(data, &n)
	}
	return n, err
}

// get asks the daemon over HTTP.
func (d *daemon) get(path string) (code int, body string, err error) {
	r, err := d.client.Get("http://" + listen + path)
	if err != nil {
		return 0, "", err
	}
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	return r.StatusCode, string(data), err
}

// metric is the value of a series, named with its labels; an error where there is none.
func (d *daemon) metric(series string) (float64, error) {
	_, body, err := d.get("/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("no series %s", series)
}

// untilMetric waits until a series has a value.
func (d *daemon) untilMetric(series string, want float64) {
	d.t.Helper()
	lab.WaitFor(d.t, patience, series, func() (bool, string) {
		got, err := d.metric(series)
		return err == nil && got == want, fmt.Sprintf("%v, %v; want %v%s", got, err, want, d.log(5))
	})
}
