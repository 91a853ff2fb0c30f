//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// ward is a namespace whose eth0 has an MTU that bad-mtu finds.
type ward struct {
	t              *testing.T
	path, root     string
	name           string
	answer         string // typed at the terminal; "-" where there is none
	frozen         bool   // the audit does not see what was mended
	agents         []facts.Agent
	stdout, stderr string
}

func newWard(t *testing.T) *ward {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	w := &ward{t: t, root: t.TempDir(), answer: "-", name: fmt.Sprintf("nmctl-%d-%d", os.Getpid(), len(t.Name()))}
	w.path = "/run/netns/" + w.name
	w.sh("ip netns add " + w.name)
	t.Cleanup(func() { w.sh("ip netns del " + w.name) })
	w.sh("ip -n " + w.name + " link add eth0 mtu 1400 type veth peer name p0")
	if err := os.Symlink("/proc", filepath.Join(w.root, "proc")); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *ward) sh(line string) string {
	w.t.Helper()
	out, err := exec.Command("sh", "-ec", line).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

func (w *ward) mtu() string {
	return strings.TrimSpace(w.sh("ip netns exec " + w.name + " cat /sys/class/net/eth0/mtu"))
}

// run runs netmendctl as on a terminal where there is an answer, and gives its exit code.
func (w *ward) run(args ...string) int {
	w.t.Helper()
	args = append(args, "--root", w.root)
	if args[0] != "history" {
		args = append(args, "--netns", w.path)
	}
	e := newTestEnv(w.t, args...)
	e.in = strings.NewReader(w.answer + "\n")
	e.isTerminal = func(stream any) bool { return stream == e.in && w.answer != "-" }
	e.collect = func(_ context.Context, s audit.Source) (*facts.Snapshot, error) {
		h, err := host.Open(host.Options{Root: s.Root, NetNS: s.NetNS})
		if err != nil {
			return nil, err
		}
		defer h.Close()
		n := testNode(s)
		n.Host.Inode, n.Host.Path, n.Agents = h.Node().Inode, s.NetNS, w.agents
		err = h.Node().Do(func() (err error) {
			n.Host.Links, err = h.Node().Links()
			return err
		})
		for i := range n.Host.Links {
			if w.frozen && n.Host.Links[i].Name == "eth0" {
				n.Host.Links[i].MTU = 1400
			}
		}
		return n, err
	}
	code := run(context.Background(), e.env)
	w.stdout, w.stderr = e.out.String(), e.err.String()
	return code
}

func TestFix(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		answer string
		code   int
		mtu    string
		want   string // in what it writes
	}{
		{"dry run", []string{"--dry-run"}, "-", 0, "1400", "Plan: 1 fix, 1 change."},
		{"nobody to ask", nil, "-", 2, "1400", "give --yes"},
		{"JSON asks nobody", []string{"-o", "json"}, "yes", 2, "1400", "give --yes"},
		{"no", nil, "no", 2, "1400", "nothing was changed"},
		{"y is not yes", nil, "y", 2, "1400", "nothing was changed"},
		{"no answer", nil, "", 2, "1400", "nothing was changed"},
		{"yes", nil, "yes", 0, "1500", "mended  1: bad-mtu on eth0"},
		{"--yes", []string{"--yes", "--watch", "0s"}, "-", 0, "1500", "mended  1: bad-mtu on eth0"},
		{"another check", []string{"--yes", "--check", "fine-one"}, "-", 0, "1400", "Nothing to mend"},
		{"the second fix of one", []string{"--yes", "--check", "bad-mtu=2"}, "-", 0, "1400", "it offers 1 fixes"},
		{"no number", []string{"--check", "bad-mtu=x"}, "-", 2, "1400", "bad-mtu=2"},
		{"unknown check", []string{"--yes", "--check", "bad-mut"}, "-", 2, "1400", "did you mean bad-mtu"},
		{"a snapshot cannot be mended", []string{"--from", "x", "--yes"}, "-", 2, "1400", "--dry-run only"},
		{"unknown format", []string{"--yes", "-o", "xml"}, "-", 2, "1400", "one of text, json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t)
			w.answer = tt.answer
			if got := w.run(append([]string{"fix"}, tt.args...)...); got != tt.code {
				t.Errorf("exit %d; want %d: %s%s", got, tt.code, w.stdout, w.stderr)
			}
			if !strings.Contains(w.stdout+w.stderr, tt.want) {
				t.Errorf("it writes\n%s%s\nwant %q in it", w.stdout, w.stderr, tt.want)
			}
			if got := w.mtu(); got != tt.mtu {
				t.Errorf("the MTU is %s; want %s", got, tt.mtu)
			}
		})
	}
}

func TestFixThatTheCheckDoesNotConfirm(t *testing.T) {
	w := newWard(t)
	w.frozen = true
	if got := w.run("fix", "--yes", "--watch", "0s"); got != 1 || !strings.Contains(w.stdout, "set     1: bad-mtu on eth0, but it is not mended: MTU 1400") {
		t.Errorf("exit %d: %s%s; want 1, and that it is not mended", got, w.stdout, w.stderr)
	}
}

func TestPlanText(t *testing.T) {
	w := newWard(t)
	if got := w.run("fix", "--dry-run"); got != 0 {
		t.Fatalf("exit %d: %s", got, w.stderr)
	}
	enter := "nsenter --net=" + w.path + " "
	want := "1. bad-mtu on eth0\n   MTU 1400\n   ~ eth0  link-mtu  1400 -> 1500\n   fix   raise it\n         " + enter + "ip link set dev eth0 mtu 1500\n" +
		"   cost  none\n   undo  " + enter + "ip link set dev eth0 mtu 1400\n\nPlan: 1 fix, 1 change. netmendctl undo takes each back.\n"
	if w.stdout != want {
		t.Errorf("the plan is\n%s\nwant\n%s", w.stdout, want)
	}
}

func TestHistoryAndUndo(t *testing.T) {
	w := newWard(t)
	if got := w.run("history"); got != 0 || w.stdout != "No fix was made here.\n" {
		t.Errorf("exit %d: %q", got, w.stdout)
	}
	if got := w.run("undo", "--all"); got != 0 || w.stdout != "Nothing was in force.\n" {
		t.Errorf("exit %d: %q", got, w.stdout)
	}
	w.run("fix", "--yes", "--watch", "0s")
	var d historyDocument
	if got := w.run("history", "-o", "json"); got != 0 {
		t.Errorf("exit %d", got)
	}
	if err := json.NewDecoder(bytes.NewReader([]byte(w.stdout))).Decode(&d); err != nil || len(d.Fixes) != 1 || d.Kind != "History" || d.Fixes[0].Steps[0].Change.From != "1400" {
		t.Errorf("history says %+v, %v", d, err)
	}
	if w.run("history"); !strings.Contains(w.stdout, "verified  bad-mtu  eth0  link-mtu  1400 -> 1500") {
		t.Errorf("history says\n%s", w.stdout)
	}
	for _, args := range [][]string{{"undo"}, {"undo", "x"}, {"undo", "0"}, {"undo", "1", "--all"}, {"undo", "5"}} {
		if got := w.run(args...); got != 2 || w.mtu() != "1500" {
			t.Errorf("%q: exit %d with MTU %s; want 2 and 1500", args, got, w.mtu())
		}
	}
	if got := w.run("undo", "1"); got != 0 || w.stdout != "undone 1: bad-mtu on eth0\n   eth0  link-mtu  1500 -> 1400\n" || w.mtu() != "1400" {
		t.Errorf("exit %d with MTU %s: %s%s", got, w.mtu(), w.stdout, w.stderr)
	}
}

// TestFixThatIsSetBack lets somebody else set the value back twice; the third time netmend leaves it alone and says so.
func TestFixThatIsSetBack(t *testing.T) {
	w := newWard(t)
	w.agents = []facts.Agent{{Name: "tuned"}}
	for _, want := range []string{"mended  1:", `is "1400", not "1500" (running here: tuned)`, "fix 2 (bad-mtu on eth0) is contested now"} {
		w.run("fix", "--yes", "--watch", "0s")
		if !strings.Contains(w.stdout, want) {
			t.Errorf("it writes\n%s%s\nwant %q", w.stdout, w.stderr, want)
		}
		w.sh("ip -n " + w.name + " link set eth0 mtu 1400")
	}
	if got := w.run("fix", "--yes"); got != 1 || !strings.Contains(w.stdout, "netmendctl undo 2 lets netmend try again") {
		t.Errorf("exit %d: %s", got, w.stdout)
	}
	if got := w.run("undo", "2"); got != 0 {
		t.Errorf("undo 2: exit %d: %s", got, w.stderr)
	}
	if got := w.run("fix", "--yes", "--watch", "0s"); got != 0 || w.mtu() != "1500" {
		t.Errorf("after the ban was lifted: exit %d with MTU %s: %s", got, w.mtu(), w.stdout)
	}
}

func TestBootWarnings(t *testing.T) {
	f := fix.Fix{Changes: []fix.Change{{Knob: fix.Sysctl("net/ipv4/conf/eth0.5/rp_filter"), From: "1", To: "2"}}}
	forward := facts.SysctlSetting{File: "/etc/sysctl.d/10-x.conf", Line: 3, Key: "net/ipv4/conf/*/rp_filter", Value: "1"}
	for _, tt := range []struct {
		name, file, value, want string
	}{
		{"before netmend's", "/etc/sysctl.d/10-x.conf", "1", `/etc/sysctl.d/10-x.conf:3 sets it to "1" at boot`},
		{"behind netmend's", "/etc/sysctl.d/99-sysctl.conf", "1", `/etc/sysctl.d/99-sysctl.conf:3 sets it to "1" at boot, after netmend's file: change it there`},
		{"sysctl.conf", "/etc/sysctl.conf", "1", `/etc/sysctl.conf:3 sets it to "1" at boot, after netmend's file: change it there`},
		{"the same value", "/etc/sysctl.conf", "2", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := forward
			set.File, set.Value = tt.file, tt.value
			got := strings.Join(bootWarnings(&facts.Snapshot{SysctlFiles: []facts.SysctlSetting{set}}, f), "\n")
			if got != tt.want {
				t.Errorf("bootWarnings() = %q; want %q", got, tt.want)
			}
		})
	}
}
