package daemon

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

const settled = "checks: {tunnel-tx-checksum: {settle: 0s}, ip-forward: {settle: 0s}}"

// faultyNode is a node on which there is something to mend.
func faultyNode(t *testing.T) *lab.Flannel {
	t.Helper()
	f := lab.NewFlannel(t, 4, "")
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	if took := connect(t, f); took < slow {
		t.Fatalf("the fault does not show: the connect took %s", took)
	}
	return f
}

// broken waits until a condition is not met and says why, in status and metrics.
func (d *daemon) broken(name, why string) *status.Document {
	d.t.Helper()
	s := d.untilCondition(name, false, why)
	d.untilMetric(fmt.Sprintf("netmend_condition{condition=%q}", name), 0)
	d.t.Logf("%s: %s", name, condition(s, name).Message)
	return s
}

// healed waits until a condition is met again.
func (d *daemon) healed(name string) {
	d.t.Helper()
	d.untilCondition(name, true, "")
}

// untilMended waits until packets of the node's tunnel arrive.
func (d *daemon) untilMended(f *lab.Flannel) {
	d.t.Helper()
	d.until("the tunnel to be mended", func(*status.Document) string {
		if took := connect(d.t, f); took > fast {
			return fmt.Sprintf("connect takes %s", took)
		}
		return ""
	})
}

// untilFound waits until a check has found something.
func (d *daemon) untilFound(check string) *status.Finding {
	d.t.Helper()
	return finding(d.until(check, func(s *status.Document) string {
		if finding(s, check) == nil {
			return "it is not found"
		}
		return ""
	}), check)
}

// TestDiskFull: without room for the journal nothing is mended, all is found and said; with room it is mended.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	n := f.Nodes[0]
	dir := filepath.Join(n.Root, "var/lib/netmend")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	_ = os.WriteFile(filler, make([]byte, 1<<20), 0o600) // until there is no room
	d := newDaemon(t, n, "fix", settled).start()
	d.broken(status.Journal, "no space left")
	d.broken(status.ChainKept, "no space left") // what a file was before is written down before it is changed
	if s := d.ready(); s.State != status.Faulty || finding(s, "tunnel-tx-checksum") == nil {
		t.Errorf("the state is %s; want the fault found all the same: %s", s.State, describe(s))
	}
	if took := connect(t, f); took < slow {
		t.Errorf("the connect takes %s: something was mended that could not be written down", took)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	d.untilMended(f)
	d.healed(status.Journal)
	d.healed(status.ChainKept)
	d.chainWhole()
}

// with starts the daemon after a shell script, in mount namespaces of its own.
func (d *daemon) with(script string) *daemon {
	d.t.Helper()
	args := append([]string{"-m", "sh", "-ec", script + "\nexec \"$@\"", "sh", filepath.Join(os.Getenv(programs), "netmendd")}, d.args...)
	d.p = d.n.Start("unshare", args...)
	return d
}

// TestReadOnlyProc: what is written below /proc cannot be mended, what is not can.
func TestReadOnlyProc(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	n := f.Nodes[0]
	n.Sh("sysctl -qw net.ipv4.conf.cni0.forwarding=0")
	d := newDaemon(t, n, "fix", settled).with("mount -o bind /proc /proc; mount -o remount,ro,bind /proc")
	d.untilMended(f)
	d.broken(status.KernelWritten, "read-only file system")
	d.untilFound("ip-forward")
}

// TestNoRights: a daemon that may change nothing and read little says so, and serves.
func TestNoRights(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	n := f.Nodes[0]
	d := newDaemon(t, n, "fix", settled)
	d.p = n.Start("setpriv", append([]string{"--bounding-set=-net_admin,-sys_admin", "--inh-caps=-all",
		filepath.Join(os.Getenv(programs), "netmendd")}, d.args...)...)
	d.broken(status.KernelEvents, "operation not permitted")
	d.broken(status.NodeRead, "operation not permitted")
	if took := connect(t, f); took < slow {
		t.Errorf("the connect takes %s: it was mended without a right to", took)
	}
	n.Sh("ip link set cni0 mtu 1400") // links are still heard of and read
	d.until("a change of links to be seen", func(s *status.Document) string {
		if s.Audit.Total < 2 {
			return s.Audit.Cause
		}
		return ""
	})
}

// TestNoNetlink: a kernel that refuses netlink leaves nothing to look at, which is said and not taken for health.
func TestNoNetlink(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	d := newDaemon(t, f.Nodes[0], "fix", settled)
	d.p = d.n.Start(os.Args[0], append([]string{refuseNetlink, filepath.Join(os.Getenv(programs), "netmendd")}, d.args...)...)
	d.broken(status.NodeRead, "operation not permitted")
	s := d.broken(status.KernelEvents, "operation not permitted")
	if s.State == status.Proven || s.State == status.Faulty {
		t.Errorf("the state is %s; want nothing said that was not seen", s.State)
	}
}

// TestNoCNIDirectory: a node on which no network is installed yet gets the plugin into the chain when it is.
func TestNoCNIDirectory(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	n := f.Nodes[0]
	conf := filepath.Join(n.Root, "etc/cni")
	if err := os.Rename(conf, conf+".later"); err != nil {
		t.Fatal(err)
	}
	d := newDaemon(t, n, "fix", settled).start()
	d.ready()
	d.until("the chain to wait", func(s *status.Document) string {
		if s.Chain.In || s.Chain.Waiting == "" {
			return fmt.Sprintf("%+v", s.Chain)
		}
		return ""
	})
	d.untilMended(f)
	if err := os.Rename(conf+".later", conf); err != nil {
		t.Fatal(err)
	}
	d.untilMetric("netmend_chain", 1)
	d.chainWhole()
}

// TestReadOnlyCNIDirectory: the chain cannot be kept, all else goes on.
func TestReadOnlyCNIDirectory(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	conf := filepath.Join(f.Nodes[0].Root, "etc/cni/net.d")
	d := newDaemon(t, f.Nodes[0], "fix", settled).with(fmt.Sprintf("mount --bind %[1]s %[1]s; mount -o remount,ro,bind %[1]s", conf))
	d.broken(status.ChainKept, "read-only file system")
	d.untilMended(f)
}

// TestTaken: a socket path and a port that others have are said, waited for, and taken when they are free.
func TestTaken(t *testing.T) {
	t.Parallel()
	f := faultyNode(t)
	n := f.Nodes[0]
	d := newDaemon(t, n, "fix", settled)
	var port, socket net.Listener
	err := n.Do(func() (err error) {
		port, err = net.Listen("tcp", listen)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.start()
	s := d.untilCondition(status.HTTPServed, false, "address already in use")
	t.Logf("%s: %s", status.HTTPServed, condition(s, status.HTTPServed).Message)
	d.untilMended(f)
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	d.healed(status.HTTPServed)
	d.stop()

	if err := os.RemoveAll(d.socket()); err != nil {
		t.Fatal(err)
	}
	if socket, err = net.Listen("unix", d.socket()); err != nil {
		t.Fatal(err)
	}
	d.start()
	lab.WaitFor(t, patience, "the taken socket to be told", func() (bool, string) {
		got, err := d.metric(fmt.Sprintf("netmend_condition{condition=%q}", status.SocketServed))
		return err == nil && got == 0, fmt.Sprintf("%v, %v%s", got, err, d.log(5))
	})
	if log := d.log(200); !strings.Contains(log, "name=socket ok=false") {
		t.Errorf("the log does not say that the socket is taken:%s", log)
	}
	if err := socket.Close(); err != nil {
		t.Fatal(err)
	}
	d.healed(status.SocketServed)
}

// TestCountersGoBack: counters that were reset or have wrapped are no evidence of anything, and are said.
func TestCountersGoBack(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	own := sysctls(t, n)
	for _, name := range []string{"uptime", "meminfo", "sys/kernel/osrelease", "sys/kernel/random/boot_id"} {
		data, err := os.ReadFile("/proc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		own[name] = string(data)
	}
	n.Own(own)
	count := func(drops, paws uint64) {
		n.Write("proc/net/new", "TcpExt: ListenOverflows ListenDrops PAWSPassive\nTcpExt: %d %d %d\n", drops, drops, paws)
		if err := os.Rename(filepath.Join(n.Root, "proc/net/new"), filepath.Join(n.Root, "proc/net/netstat")); err != nil {
			t.Fatal(err)
		}
	}
	n.Write("proc/net/snmp", "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors\nUdp: 1 0 0 1 0 0 0\n")
	n.Write("proc/net/snmp6", "Udp6InCsumErrors 0\n")
	count(1<<64-10, 1<<64-10)
	d := newDaemon(t, n, "fix", "intervals: {counterWindow: 1s}").start()
	d.ready()
	d.untilWindows(2)
	count(5, 3) // wrapped: by 15 and 13, for whoever knows that it did
	d.broken(status.CounterWindow, "went back")
	s := d.untilWindows(2)
	for _, f := range s.Findings {
		if f.Severity.String() != "info" {
			t.Errorf("found %s: %s", f.Check, f.Message)
		}
	}
	d.healed(status.CounterWindow)
}

// untilWindows waits for that many windows of the counters.
func (d *daemon) untilWindows(count int) *status.Document {
	d.t.Helper()
	var s *status.Document
	for range count {
		var from uint64
		s = d.until("a window of the counters", func(s *status.Document) string {
			if from == 0 {
				from = s.Audit.Total
			}
			if s.Audit.Total == from || s.Audit.Cause != "window" {
				return s.Audit.Cause
			}
			return ""
		})
	}
	return s
}
