package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// testEnv is a program without a process: its node is one link, and its checks are bad-mtu, which finds an MTU of 1400, and two that find nothing.
type testEnv struct {
	*env
	out, err bytes.Buffer
	source   audit.Source // of the last collection
}

func newTestEnv(t *testing.T, args ...string) *testEnv {
	t.Helper()
	suite, err := audit.New(testChecks(), func(f check.Finding, _ fix.Fix) bool { return f.Check == "bad-mtu" })
	if err != nil {
		t.Fatal(err)
	}
	e := &testEnv{}
	e.env = &env{
		args: args, in: strings.NewReader(""), out: &e.out, err: &e.err, suite: suite,
		getenv:     func(string) string { return "" },
		now:        func() time.Time { return time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC) },
		isTerminal: func(any) bool { return false }, columns: func(any) int { return 0 },
		collect: func(_ context.Context, s audit.Source) (*facts.Snapshot, error) {
			e.source = s
			return testNode(s), nil
		},
	}
	return e
}

func testNode(s audit.Source) *facts.Snapshot {
	return &facts.Snapshot{Schema: facts.Schema, Taken: s.Now(), Kinds: s.Kinds, Intent: s.Intent, Node: facts.Node{Name: "node1", Privileged: true},
		Host: facts.Namespace{Inode: 1, Links: []facts.Link{{Index: 2, Name: "eth0", MTU: 1400, Up: true}}}}
}

func testChecks() []*check.Check {
	none := func(*facts.Snapshot) []check.Finding { return nil }
	return []*check.Check{
		{Name: "bad-mtu", Title: "An MTU is bad", Doc: "What **breaks**.\n", Since: "v0.1.0", Needs: []facts.Kind{facts.KindLinks}, Severity: check.Warning, Run: func(s *facts.Snapshot) (out []check.Finding) {
			for i := range s.Host.Links {
				if l := &s.Host.Links[i]; l.MTU == 1400 {
					on := s.Host.Ref(l)
					out = append(out, check.Finding{Severity: check.Warning, On: on, Message: "MTU 1400", Evidence: []check.Evidence{{Fact: "mtu", Got: "1400", Want: "1500"}},
						Fixes: []fix.Fix{{Title: "raise it", Cost: "none", Changes: []fix.Change{{Knob: fix.LinkMTU, On: on, From: "1400", To: "1500"}}}}})
				}
			}
			return out
		}},
		{Name: "fine-one", Title: "Nothing", Doc: "Nothing.\n", Since: "v0.1.0", Needs: []facts.Kind{facts.KindRoutes}, Wants: []facts.Kind{facts.KindCounters}, Run: none},
		{Name: "fine-two", Title: "Nothing", Doc: "Nothing.\n", Since: "v0.1.0", Needs: []facts.Kind{facts.KindIPVS}, Pods: true, Run: none},
	}
}

func TestExitCodesAndMessages(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	half := write("half.json", `{"schema":1,"host":{"links":[`)
	newer := write("newer.json", `{"schema":99}`)
	big := write("big.json", "")
	if err := os.Truncate(big, 1<<30); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		code int
		err  string // in the one line of standard error; empty: nothing there
	}{
		{"help", nil, 0, ""},
		{"finding", []string{"audit"}, 1, ""},
		{"finding below the bound", []string{"audit", "--fail-on", "critical"}, 0, ""},
		{"no finding", []string{"audit", "--skip", "bad-mtu"}, 0, ""},
		{"unknown command", []string{"adit"}, 2, `unknown command "adit": did you mean audit?`},
		{"unknown command, far from any", []string{"xyzzy"}, 2, "see netmendctl --help"},
		{"unknown flag", []string{"audit", "--foo"}, 2, "unknown flag: --foo: see netmendctl audit --help"},
		{"argument", []string{"audit", "x"}, 2, `unexpected argument "x"`},
		{"unknown check", []string{"audit", "--check", "bad-mut"}, 2, `unknown check "bad-mut": did you mean bad-mtu?`},
		{"unknown check to skip", []string{"audit", "--skip", "zzz"}, 2, "netmendctl checks lists them"},
		{"no check left", []string{"audit", "--check", "fine-one", "--skip", "fine-one"}, 2, "no check is left"},
		{"format", []string{"audit", "-o", "xml"}, 2, "one of text, wide, json"},
		{"severity", []string{"audit", "--fail-on", "x"}, 2, "one of info, warning, critical"},
		{"colour", []string{"audit", "--color", "x"}, 2, "one of auto, always, never"},
		{"window", []string{"audit", "--window", "2h"}, 2, "between 0 and 1h0m0s"},
		{"cidr", []string{"audit", "--pod-cidr", "10.0.0.0"}, 2, "not a CIDR"},
		{"vip", []string{"audit", "--service-vip", "a=1.2.3.4"}, 2, "NAME=IP:PORT/PROTO"},
		{"no file", []string{"audit", "--from", filepath.Join(dir, "none")}, 2, "no such file or directory: give a file"},
		{"directory", []string{"audit", "--from", dir}, 2, "it is a directory"},
		{"half", []string{"audit", "--from", half}, 2, "not a whole JSON document"},
		{"newer", []string{"audit", "--from", newer}, 2, "schema 99 is not known here"},
		{"1 GiB", []string{"audit", "--from", big}, 2, "larger than a snapshot can be (1024 MiB"},
		{"from and root", []string{"audit", "--from", half, "--root", "/"}, 2, "does not go with --root"},
		{"explain nothing", []string{"explain"}, 2, "the name of one check"},
		{"explain", []string{"explain", "bad-mtu"}, 0, ""},
		{"explain unknown", []string{"explain", "mtu"}, 2, "did you mean bad-mtu?"},
		{"completion", []string{"completion", "tcsh"}, 2, "one of bash, zsh, fish"},
		{"man", []string{"man"}, 2, "--dir is missing"},
		{"snapshot into nowhere", []string{"snapshot", "-f", filepath.Join(dir, "no", "file")}, 2, "no such file or directory"},
		{"snapshot over a directory", []string{"snapshot", "-f", dir}, 2, "no regular file"},
		{"snapshot over a device", []string{"snapshot", "-f", os.DevNull}, 2, "no regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := newTestEnv(t, tt.args...)
			if got := run(context.Background(), e.env); got != tt.code {
				t.Errorf("run(%q) = %d; want %d (%s)", tt.args, got, tt.code, e.err.String())
			}
			text := e.err.String()
			if tt.err == "" {
				if text != "" {
					t.Errorf("run(%q) says %q; want nothing", tt.args, text)
				}
				return
			}
			if !strings.HasPrefix(text, "netmendctl: ") || !strings.Contains(text, tt.err) || strings.Count(text, "\n") != 1 {
				t.Errorf("run(%q) says %q; want one line with %q", tt.args, text, tt.err)
			}
			if e.out.Len() > 0 {
				t.Errorf("run(%q) failed and wrote %q", tt.args, e.out.String())
			}
		})
	}
}

func TestAuditCollectsWhatItsChecksNeed(t *testing.T) {
	e := newTestEnv(t, "audit", "--check", "fine-one", "--check", "fine-two", "--window", "3s", "--pod-cidr", "10.244.3.7/16,fd00::/48",
		"--service-vip", "a/b:c=10.96.0.1:443/tcp", "--service-vip", "d=[fd00::1]:53/udp", "--root", "/host", "--netns", "/n")
	if code := run(context.Background(), e.env); code != 0 {
		t.Fatalf("run = %d: %s", code, e.err.String())
	}
	s := e.source
	got, err := json.Marshal([]any{s.Kinds, s.Window, s.Root, s.NetNS, s.Intent})
	if err != nil {
		t.Fatal(err)
	}
	want := `[["routes","counters","ipvs","pods"],3000000000,"/host","/n",{"podCIDRs":["10.244.0.0/16","fd00::/48"],"services":[` +
		`{"name":"a/b:c","vip":"10.96.0.1","port":443,"protocol":"tcp","source":"--service-vip"},{"name":"d","vip":"fd00::1","port":53,"protocol":"udp","source":"--service-vip"}]}]`
	if string(got) != want {
		t.Errorf("the source is\n%s; want\n%s", got, want)
	}
}

func TestQuiet(t *testing.T) {
	e := newTestEnv(t, "audit", "-q")
	if code := run(context.Background(), e.env); code != 1 || e.out.Len() > 0 {
		t.Errorf("audit -q = %d and %q; want 1 and nothing", code, e.out.String())
	}
}

func TestColourIsForTerminals(t *testing.T) {
	for _, tt := range []struct {
		name, flag, noColor, term string
		terminal, want            bool
	}{
		{"file", "auto", "", "xterm", false, false}, {"terminal", "auto", "", "xterm", true, true}, {"NO_COLOR", "auto", "1", "xterm", true, false}, {"dumb", "auto", "", "dumb", true, false},
		{"always", "always", "1", "dumb", false, true}, {"never", "never", "", "xterm", true, false},
	} {
		e := newTestEnv(t, "audit", "--color", tt.flag)
		e.isTerminal = func(any) bool { return tt.terminal }
		e.getenv = func(name string) string { return map[string]string{"NO_COLOR": tt.noColor, "TERM": tt.term}[name] }
		if code := run(context.Background(), e.env); code != 1 {
			t.Fatalf("%s: run = %d", tt.name, code)
		}
		if got := strings.Contains(e.out.String(), "\x1b["); got != tt.want {
			t.Errorf("%s: painted %v; want %v", tt.name, got, tt.want)
		}
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	e := newTestEnv(t, "audit")
	e.collect = func(context.Context, audit.Source) (*facts.Snapshot, error) {
		return nil, errors.New("a \x1b[31mbad\nthing")
	}
	if code := run(context.Background(), e.env); code != 2 || e.err.String() != `netmendctl: audit: a \x1b[31mbad\nthing`+"\n" {
		t.Errorf("run = %d and %q; want 2 and one harmless line", code, e.err.String())
	}
}

func TestOtherSystems(t *testing.T) {
	e := newTestEnv(t, "audit")
	e.collect = func(context.Context, audit.Source) (*facts.Snapshot, error) { return nil, audit.ErrNotLinux }
	if code := run(context.Background(), e.env); code != 2 || !strings.Contains(e.err.String(), "give it with --from") {
		t.Errorf("run = %d and %q; want 2 and the way out", code, e.err.String())
	}
}

func TestNPDSaysWhatFailed(t *testing.T) {
	e := newTestEnv(t, "audit", "-o", "npd", "--from", "/none")
	if code := run(context.Background(), e.env); code != 2 || !strings.HasPrefix(e.out.String(), "could not audit: ") || e.out.Len() > 80 {
		t.Errorf("run = %d and %q; want 2 and one line of at most 80 bytes", code, e.out.String())
	}
}

// blocked never gives anything.
type blocked struct{}

func (blocked) Read([]byte) (int, error) { select {} }

func TestInterrupted(t *testing.T) {
	e := newTestEnv(t, "audit", "--from", "-")
	e.in = blocked{}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if code := run(ctx, e.env); code != 2 || !strings.Contains(e.err.String(), "interrupted") {
		t.Errorf("run = %d and %q; want 2 and that it was interrupted", code, e.err.String())
	}
}

func TestBrokenOutput(t *testing.T) {
	e := newTestEnv(t, "checks")
	e.env.out = failing{}
	if code := run(context.Background(), e.env); code != 2 || !strings.Contains(e.err.String(), "write output") {
		t.Errorf("run = %d and %q; want 2 and the reason", code, e.err.String())
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, fs.ErrClosed }
