package daemon

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// How long a connect takes whose first SYN is lost, and how long one that is not: both are far from these bounds.
const (
	slow = 800 * time.Millisecond
	fast = 300 * time.Millisecond
)

// brokenNode is a node with the faults of two incidents, a tunnel whose packets are translated and a NIC with two addresses, and with the sysctl of a third,
// which this kernel does not have: the node's /proc/sys/net is a copy that has it.
func brokenNode(t *testing.T) *lab.Flannel {
	t.Helper()
	f := lab.NewFlannel(t, 4, "192.0.2.77")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	own := sysctls(t, n)
	own["sys/net/ipv4/tcp_tw_recycle"] = "1\n"
	for _, name := range []string{"uptime", "meminfo", "sys/kernel/osrelease", "sys/kernel/random/boot_id"} {
		data, err := os.ReadFile("/proc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		own[name] = string(data)
	}
	n.Own(own)
	proc := filepath.Join(n.Root, "proc")
	for link, target := range map[string]string{"thread-self": "/proc/thread-self", "self": "/proc/self", "net": "/proc/thread-self/net"} {
		if err := os.Symlink(target, filepath.Join(proc, link)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// sysctls copies those of a node's network, by their paths below /proc.
func sysctls(t *testing.T, n *lab.Node) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := n.Do(func() error {
		return filepath.WalkDir("/proc/sys/net", func(path string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			if err == nil { // some can only be written
				all[strings.TrimPrefix(path, "/proc/")] = string(data)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// connect measures the connect from the first node to the second one's pod.
func connect(t *testing.T, f *lab.Flannel) time.Duration {
	t.Helper()
	took, err := f.Nodes[0].Connect(f.Target(), 10*time.Second)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	return took
}

func read(t *testing.T, n *lab.Node, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(n.Root, path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(data)
}

// proven lists what a node that is called ready still lacks.
func proven(t *testing.T, f *lab.Flannel) (lacks []string) {
	t.Helper()
	n := f.Nodes[0]
	if out := n.Sh("ethtool -k flannel.1 | grep tx-checksum-ip-generic"); !strings.Contains(out, ": off") {
		lacks = append(lacks, "the tunnel's offload: "+out)
	}
	if v := read(t, n, "proc/sys/net/ipv4/tcp_tw_recycle"); v != "0\n" {
		lacks = append(lacks, "tcp_tw_recycle: "+v)
	}
	if conf := read(t, n, "etc/cni/net.d/10-flannel.conflist"); !strings.Contains(conf, `"netmend"`) {
		lacks = append(lacks, "the plugin in the chain: "+conf)
	}
	if _, err := os.Stat(filepath.Join(n.Root, "opt/cni/bin/netmend")); err != nil {
		lacks = append(lacks, err.Error())
	}
	return lacks
}

// TestJoin is a node that joins: nobody types anything, and it is not called ready before it is mended.
func TestJoin(t *testing.T) {
	f := brokenNode(t)
	n := f.Nodes[0]
	before := connect(t, f)
	if before < slow {
		t.Fatalf("the fault does not show: the connect took %s", before)
	}
	d := newDaemon(t, n, "fix").start()
	start := time.Now()
	// The state is read before what it vouches for.
	lab.WaitFor(t, patience, "the node to be ready", func() (bool, string) {
		for range 20 {
			state, err := d.nodeState()
			if err == nil && state.Ready {
				if lacks := proven(t, f); len(lacks) > 0 {
					t.Errorf("the node is called %s, and lacks %q", state.State, lacks)
				}
				return true, ""
			}
			time.Sleep(time.Millisecond)
		}
		return false, "it is not" + d.log(20)
	})
	took := time.Since(start)
	after := connect(t, f)
	if after > fast {
		t.Errorf("the connect takes %s; want less than %s", after, fast)
	}
	s := d.until("what was mended to be gone", func(s *status.Document) string {
		for _, check := range []string{"tunnel-tx-checksum", "tcp-tw-recycle"} {
			if x := finding(s, check); x != nil && x.Severity.String() != "info" {
				return check + " on " + x.Where
			}
		}
		return ""
	})
	if x := finding(s, "dhcp-static-same-nic"); x == nil || x.Plan == "" {
		t.Errorf("the two addresses of the NIC are reported as %+v; want a finding with what is done about it", x)
	}
	for _, check := range []string{"tunnel-tx-checksum", "tcp-tw-recycle"} {
		if !slices.ContainsFunc(s.Fixes, func(x status.Fix) bool { return x.Check == check && x.ID > 0 }) {
			t.Errorf("no fix of %s in %+v", check, s.Fixes)
		}
	}
	if !s.Chain.In || !s.Chain.Kept {
		t.Errorf("the chain is %+v; want the plugin in it", s.Chain)
	}
	lacksNothing(t, s)
	if code, body, err := d.get("/readyz"); err != nil || code != 200 {
		t.Errorf("/readyz answers %d %s %v", code, body, err)
	}
	t.Logf("ready %s after the start; connect %s before and %s after", took.Round(time.Millisecond), before.Round(time.Millisecond), after.Round(10*time.Microsecond))
	d.stop()
	if took := connect(t, f); took > fast {
		t.Errorf("after the daemon's end the connect takes %s", took)
	}
}

// lacksNothing demands that the daemon can do all of its work: on a node that is whole, no condition is other than met.
func lacksNothing(t *testing.T, s *status.Document) {
	t.Helper()
	for _, c := range s.Conditions {
		if !c.OK {
			t.Errorf("condition %s is not met: %s", c.Name, c.Message)
		}
	}
}

// TestJoinAudit is the same node in audit mode: nothing at all is changed, and what would have been done is said.
func TestJoinAudit(t *testing.T) {
	f := brokenNode(t)
	n := f.Nodes[0]
	d := newDaemon(t, n, "audit", "intervals: {counterWindow: 1s}")
	var state string
	lab.WaitFor(t, patience, "the kernel to finish with what was made", func() (bool, string) { // duplicate address detection takes a second or two
		was := state
		time.Sleep(2 * time.Second)
		state = kernelState(n)
		return was == state && !strings.Contains(state, "tentative"), "it still changes"
	})
	files := hashes(t, n.Root)
	d.start()
	d.ready()
	s := d.until("the plans", func(s *status.Document) string {
		for check, plan := range map[string]string{"tunnel-tx-checksum": "in mode fix", "tcp-tw-recycle": "in mode fix", "dhcp-static-same-nic": ""} {
			if x := finding(s, check); x == nil || !strings.Contains(x.Plan, plan) || x.Plan == "" {
				return check
			}
		}
		return ""
	})
	lacksNothing(t, s)
	if len(s.Fixes) > 0 || s.Chain.In {
		t.Errorf("in audit mode there are fixes %+v, chain %+v", s.Fixes, s.Chain)
	}
	if s.Mode != "audit" || s.State != status.Faulty {
		t.Errorf("mode %s, state %s; want audit, faulty", s.Mode, s.State)
	}
	if took := connect(t, f); took < slow {
		t.Errorf("the connect takes %s: something was changed", took)
	}
	d.stop()
	if diff := cmp.Diff(files, hashes(t, n.Root)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(strings.Split(state, "\n"), strings.Split(kernelState(n), "\n")); diff != "" {
		t.Errorf("the kernel's state changed (-before +after):\n%s", diff)
	}
}

// hashes gives what every file of a tree is.
func hashes(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := e.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%s %s", st.Mode(), st.ModTime())
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " " + target
		}
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(data))
		}
		all[path] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// kernelState is what the kernel has been told of the node's network, without counters, what runs out, and neighbours that come and go.
func kernelState(n *lab.Node) string {
	return n.Sh(`{ ip -d link; ip addr; ip -d -o route show table all; ip -6 -d route show table all; ip rule; ip -6 rule; bridge fdb; bridge -d link
for l in /sys/class/net/*; do ethtool -k ${l##*/}; done
nft -s list ruleset; find /proc/sys/net -type f -readable ! -name '*count*' ! -path '*/stat*' ! -name flush | sort | xargs grep -s . || true
} | sed -E 's/_lft [0-9]+sec//g; s/_timer +[0-9.]+//g' | sort`)
}
