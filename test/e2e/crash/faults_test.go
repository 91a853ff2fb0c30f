package crash

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
)

// under runs the job as a process below a shell script, which ends in "exec "$@"".
func (n *node) under(script string, j job) (string, error) {
	n.t.Helper()
	j.NetNS = n.Path
	text, err := json.Marshal(j)
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh", os.Args[0])
	cmd.Env = append(os.Environ(), work+"="+string(text))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// unchanged says that the node is as before, and what the journal says of the last fix.
func (n *node) unchanged(dir string) (last repair.Entry) {
	n.t.Helper()
	if diff := n.diff(n.before); diff != "" {
		n.t.Errorf("the node has changed (-before +now):\n%s", diff)
	}
	entries, _, err := repair.History(dir)
	if err != nil {
		n.t.Fatal(err)
	}
	if len(entries) > 0 {
		last = entries[len(entries)-1]
	}
	return last
}

func (n *node) proposed(check string) []fix.Proposal {
	n.t.Helper()
	for _, p := range n.fixes {
		if p.Check == check {
			return []fix.Proposal{p}
		}
	}
	n.t.Fatalf("no proposal of %s", check)
	return nil
}

// TestFaults lets the kernel and the disk refuse for real.
func TestFaults(t *testing.T) {
	n := newNode(t)
	both := n.proposed("forwarding")
	both[0].Fix.Changes = append([]fix.Change{n.proposed("port")[0].Fix.Changes[2]}, both[0].Fix.Changes...)
	mixed := n.proposed("forwarding")
	mixed[0].Fix.Changes = append(mixed[0].Fix.Changes[:1:1], n.proposed("offload")[0].Fix.Changes...)
	for _, tt := range []struct {
		name   string
		script string
		fixes  []fix.Proposal
		want   string
		begun  bool
	}{
		{"read-only /proc/sys", `mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@"`, both, "read-only file system", true},
		{"no CAP_NET_ADMIN", `exec setpriv --bounding-set -net_admin --inh-caps -net_admin "$@"`, mixed, "operation not permitted", true},
		{"no programs", `mount -t tmpfs none /usr/sbin; PATH=/nowhere; exec "$@"`, n.proposed("rules"), "iptables-nft", true},
		{"read-only journal", `mount -t tmpfs none "$DIR"; mount -o remount,ro "$DIR"; exec "$@"`, n.fixes, "read-only file system", false},
		{"no room at all", `mount -t tmpfs -o size=4k none "$DIR"; head -c 4096 /dev/zero >"$DIR/full"; exec "$@"`, n.fixes, "no space left on device", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			out, err := n.under("DIR="+dir+"; "+tt.script, job{Dir: dir, Fixes: tt.fixes})
			if err == nil || !strings.Contains(out, tt.want) {
				t.Errorf("it ended with %v: %s; want %q", err, out, tt.want)
			}
			if last := n.unchanged(dir); tt.begun != (last.State == repair.Undone) {
				t.Errorf("the last fix in the journal is %d, %s (%s)", last.ID, last.State, last.Reason)
			}
		})
	}
}

// TestDiskFillsUp makes all fixes with a journal that has room for some of them, and finds the room later.
func TestDiskFillsUp(t *testing.T) {
	n := newNode(t)
	dir := t.TempDir()
	mount := func(words ...string) {
		t.Helper()
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v: %s", words, err, out)
		}
	}
	mount("mount", "-t", "tmpfs", "-o", "size=8k", "none", dir)
	t.Cleanup(func() { mount("umount", dir) })
	out, err := n.process(job{Dir: dir, Fixes: n.fixes}).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no space left on device") {
		t.Errorf("it ended with %v: %s; want a full disk", err, out)
	}
	entries, _, err := repair.History(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("History() = %d fixes, %v; want some", len(entries), err)
	}
	mount("mount", "-o", "remount,size=1m", dir)
	n.recover("room again", dir, true)
}

// TestGoneBetweenPlanAndApply changes the node behind the plan's back.
func TestGoneBetweenPlanAndApply(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		check  string
		want   error
	}{
		{"device gone", "ip link del flannel.1", "offload", host.ErrGone},
		{"device made anew", "ip link del flannel.1; ip link add flannel.1 type vxlan id 1 local 10.1.0.1 dev eth0 dstport 8472", "offload", host.ErrGone},
		{"device renamed", "ip link set flannel.1 name flannel.2", "offload", host.ErrGone},
		{"value changed", "ip link set p0 mtu 1400", "port", fix.ErrPrecondition},
		{"value there already", "sysctl -qw net/ipv4/ip_forward=1", "forwarding", fix.ErrPrecondition},
		{"rule there already", "iptables-nft -N NETMEND-FORWARD; iptables-nft -A NETMEND-FORWARD -s 10.244.0.0/16 -j ACCEPT", "rules", fix.ErrPrecondition},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t)
			n.Sh(tt.script)
			before := n.state()
			m, err := repair.Open(context.Background(), repair.Options{Kernel: repair.HostKernel(n.host), Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if e, err := m.Apply(context.Background(), n.proposed(tt.check)[0]); !errors.Is(err, tt.want) || e.ID != 0 {
				t.Errorf("Apply() = fix %d, %v; want nothing begun and %v", e.ID, err, tt.want)
			}
			if diff := n.diff(before); diff != "" {
				t.Errorf("the node has changed (-before +now):\n%s", diff)
			}
		})
	}
}

// counted counts what is written to the kernel.
type counted struct {
	repair.Kernel
	sets int
}

func (c *counted) Set(s repair.Step, from, to string) error {
	c.sets++
	return c.Kernel.Set(s, from, to)
}

// TestFight lets somebody set a value back every 100 ms for a minute, while netmend tries every second.
func TestFight(t *testing.T) {
	t.Parallel()
	lasts := time.Minute
	if testing.Short() {
		lasts = 8 * time.Second
	}
	n := newNode(t)
	n.Start("sh", "-c", "while :; do echo 0 >/proc/sys/net/ipv4/ip_forward; sleep 0.1; done")
	kernel := &counted{Kernel: repair.HostKernel(n.host)}
	dir := t.TempDir()
	var last error
	for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(time.Second) {
		m, err := repair.Open(context.Background(), repair.Options{Kernel: kernel, Dir: dir, Watch: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		_, last = m.Apply(context.Background(), n.proposed("forwarding")[0])
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(last, repair.ErrContested) && !errors.Is(last, repair.ErrBudget) {
		t.Errorf("the last Apply() = %v; want ErrContested", last)
	}
	// Each of at most three applications writes once and, to take back what it reset beside it, a few times more.
	if kernel.sets > 3*8 {
		t.Errorf("%d writes", kernel.sets)
	}
	entries, _, err := repair.History(dir)
	if err != nil || len(entries) > repair.MaxApplications {
		t.Errorf("History() = %d fixes, %v; want at most %d", len(entries), err, repair.MaxApplications)
	}
	t.Logf("%d fixes, %d writes, the last %s: %s", len(entries), kernel.sets, entries[len(entries)-1].State, entries[len(entries)-1].Reason)
}

// TestTwoAtOnce starts a second netmend while a first one works.
func TestTwoAtOnce(t *testing.T) {
	dir := t.TempDir()
	first, err := repair.OpenDir(context.Background(), dir, "netmendd", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repair.OpenDir(context.Background(), dir, "netmendctl", 50*time.Millisecond); !errors.Is(err, repair.ErrBusy) || !strings.Contains(err.Error(), "netmendd (pid ") {
		t.Errorf("OpenDir() beside another = %v; want ErrBusy that says who", err)
	}
	time.AfterFunc(200*time.Millisecond, func() { first.Close() })
	second, err := repair.OpenDir(context.Background(), dir, "netmendctl", 10*time.Second)
	if err != nil {
		t.Fatalf("OpenDir() that waits = %v", err)
	}
	second.Close()
}

// TestKilledProgramsParentKeepsTheLock: what netmend has started holds the lock until it has ended, also when netmend was killed.
func TestKilledProgramsParentKeepsTheLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "journal")
	store, err := repair.OpenDir(context.Background(), dir, "killed", 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sleep", "0.5")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	store.Close() // as the end of the process does
	if _, err := repair.OpenDir(context.Background(), dir, "next", 0); !errors.Is(err, repair.ErrBusy) {
		t.Errorf("OpenDir() while the program runs = %v; want ErrBusy", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	next, err := repair.OpenDir(context.Background(), dir, "next", 0)
	if err != nil {
		t.Fatalf("OpenDir() when it has ended = %v", err)
	}
	next.Close()
}
