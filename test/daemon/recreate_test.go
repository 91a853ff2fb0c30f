package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/safchain/ethtool"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	recreations = 1000
	churn       = 5 * time.Millisecond  // between two events of links
	maxMended   = 50 * time.Millisecond // p99 of the time from a tunnel's creation until it is mended
	maxBusy     = 10                    // times what the machine itself takes for what nobody can do without, where that is longer
)

// TestRecreate lets what calls itself flannel delete and make its tunnel a thousand times, while 200 times a second another link changes, comes or goes:
// every one is mended, and how soon is measured by the kernel's own notifications. Beside it runs a yardstick, which does
// what the daemon cannot do without: it wakes up, makes two records last, and asks the kernel for features. Only where that alone takes the machine longer
// than a tenth of what is demanded, because it is busy with something else, is more time given: mending wakes up several times.
func TestRecreate(t *testing.T) {
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	d := newDaemon(t, n, "fix", "checks: {tunnel-tx-checksum: {settle: 0s}}").start()
	d.until("the first mending", func(s *status.Document) string {
		if took := connect(t, f); took > fast {
			return fmt.Sprintf("connect takes %s", took)
		}
		return ""
	})
	w := newWitness(t, n)
	for try := 1; ; try++ {
		took, busy := w.recreate(t, recreations)
		p99, limit := at(took, 0.99), max(maxMended, maxBusy*at(busy, 0.99))
		t.Logf("%d tunnels mended after p50 %s, p90 %s, p99 %s, at most %s; the yardstick p50 %s, p99 %s; the limit is %s (try %d)",
			len(took), at(took, 0.5), at(took, 0.9), p99, at(took, 1), at(busy, 0.5), at(busy, 0.99), limit, try)
		if p99 <= limit || t.Failed() {
			break
		}
		if try == 2 {
			t.Errorf("p99 is %s; want at most %s", p99, limit)
			break
		}
	}
	if took := connect(t, f); took > fast {
		t.Errorf("at last the connect takes %s", took)
	}
	d.until("the last fix", func(s *status.Document) string {
		if x := finding(s, "tunnel-tx-checksum"); x != nil && x.Severity.String() != "info" {
			return x.Message
		}
		return ""
	})
}

// witness makes links on a node and hears of them.
type witness struct {
	n      *lab.Node
	tool   *ethtool.Ethtool
	events int // a socket that hears of links

	mu     sync.Mutex
	made   time.Time // when the kernel told of the last tunnel
	mended time.Time // when it told of its changed features, which are right
	lost   int
}

func newWitness(t *testing.T, n *lab.Node) *witness {
	t.Helper()
	w := &witness{n: n}
	err := n.Do(func() (err error) {
		if w.tool, err = ethtool.NewEthtool(); err != nil {
			return err
		}
		if w.events, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE); err != nil {
			return err
		}
		tv := unix.NsecToTimeval(int64(100 * time.Millisecond))
		return errors.Join(unix.SetsockoptInt(w.events, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20),
			unix.SetsockoptTimeval(w.events, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
			unix.Bind(w.events, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (unix.RTNLGRP_LINK - 1)}))
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { w.listen(done) })
	t.Cleanup(func() {
		close(done)
		reading.Wait()
		unix.Close(w.events)
		w.tool.Close()
	})
	return w
}

func (w *witness) listen(done <-chan struct{}) {
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(w.events, buf, 0)
		now := time.Now()
		select {
		case <-done:
			return
		default:
		}
		if errors.Is(err, unix.ENOBUFS) {
			w.mu.Lock()
			w.lost++
			w.mu.Unlock()
		}
		if err == nil {
			w.event(buf[:n], now)
		}
	}
}

// event reads one notification of a link.
func (w *witness) event(b []byte, now time.Time) {
	const head = unix.NLMSG_HDRLEN + unix.SizeofIfInfomsg
	if len(b) < head || binary.NativeEndian.Uint16(b[4:]) != unix.RTM_NEWLINK {
		return
	}
	change := binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN+12:])
	tunnel, features := false, false
	for b = b[head:]; len(b) >= unix.SizeofNlAttr; {
		size := int(binary.NativeEndian.Uint16(b))
		switch v := b[unix.SizeofNlAttr:size]; binary.NativeEndian.Uint16(b[2:]) {
		case unix.IFLA_IFNAME:
			tunnel = string(v) == "flannel.1\x00"
		case unix.IFLA_EVENT:
			features = binary.NativeEndian.Uint32(v) == unix.IFLA_EVENT_FEATURES
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	if !tunnel {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if change == math.MaxUint32 && w.made.IsZero() {
		w.made = now
	}
	if features && !w.made.IsZero() && w.mended.IsZero() && !w.offloads() {
		w.mended = now
	}
}

// offloads says whether the tunnel there is now leaves checksums unfinished.
func (w *witness) offloads() bool {
	f, err := w.tool.Features("flannel.1")
	return err != nil || f[facts.FeatureTxChecksum]
}

// recreate gives how long each took to be mended, the quickest first.
func (w *witness) recreate(t *testing.T, count int) (took, yardstick []time.Duration) {
	t.Helper()
	stop := make(chan struct{})
	var busy sync.WaitGroup
	events := 0
	start := time.Now()
	busy.Go(func() { events = w.churn(t, stop) })
	busy.Go(func() { yardstick = w.measure(t, stop) })
	flannel, end := w.ip(t)
	// What flannel does when its configuration has changed (backend/vxlan).
	const again = `link del flannel.1
link add flannel.1 address 02:00:00:00:00:0a mtu 1450 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning udpcsum
addr add 10.244.0.0/32 dev flannel.1
link set flannel.1 up
route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink
neigh add 10.244.1.0 lladdr 02:00:00:00:00:0b dev flannel.1 nud permanent
`
	for range count {
		w.forget()
		if _, err := io.WriteString(flannel, again); err != nil {
			t.Errorf("make the tunnel anew: %v", err)
			break
		}
		one, ok := w.wait()
		if !ok {
			t.Errorf("a tunnel is not mended after %s", patience)
			break
		}
		took = append(took, one)
		time.Sleep(rand.N(4 * churn)) // flannel does not know when it is mended
	}
	end()
	close(stop)
	busy.Wait()
	w.n.Sh("bridge fdb add 02:00:00:00:00:0b dev flannel.1 dst 192.0.2.2 self permanent")
	t.Logf("%d links changed, came or went in %s beside it", events, time.Since(start).Round(time.Second))
	if w.lost > 0 {
		t.Errorf("the test itself has lost events %d times", w.lost)
	}
	slices.Sort(took)
	slices.Sort(yardstick)
	if len(took) == 0 || len(yardstick) == 0 {
		t.Fatal("nothing was measured")
	}
	return took, yardstick
}

// at is the time within which that part of them was.
func at(sorted []time.Duration, part float64) time.Duration {
	return sorted[int(part*float64(len(sorted)-1))].Round(10 * time.Microsecond)
}

// measure wakes up again and again, makes two records last and asks the kernel for features, for which it takes its lock of all links, until it is stopped.
func (w *witness) measure(t *testing.T, stop <-chan struct{}) (took []time.Duration) {
	f, err := os.Create(filepath.Join(t.TempDir(), "yardstick"))
	if err != nil {
		t.Error(err)
		return nil
	}
	defer f.Close()
	for {
		const rest = 20 * time.Millisecond
		start := time.Now()
		select {
		case <-stop:
			return took
		case <-time.After(rest):
		}
		for range 2 {
			if _, err := f.Write(make([]byte, 500)); err != nil {
				t.Error(err)
			}
			if err := f.Sync(); err != nil {
				t.Error(err)
			}
		}
		if _, err := w.tool.Features("lo"); err != nil {
			t.Error(err)
		}
		took = append(took, time.Since(start)-rest)
	}
}

// ip is one process of ip that does what it is told, line by line.
func (w *witness) ip(t *testing.T) (in io.WriteCloser, end func()) {
	t.Helper()
	cmd := exec.Command("ip", "-n", w.n.Name, "-batch", "-")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return in, func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil || said.Len() > 0 {
			t.Errorf("ip: %v: %s", err, said.String())
		}
	}
}

func (w *witness) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made, w.mended = time.Time{}, time.Time{}
}

// wait gives the time between the kernel's word of a tunnel and its word that it is mended. The end of the last command is not waited for: flannel does not
// wait for netmend either.
func (w *witness) wait() (time.Duration, bool) {
	for start := time.Now(); time.Since(start) < patience; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		made, mended := w.made, w.mended
		w.mu.Unlock()
		if !mended.IsZero() {
			return mended.Sub(made), true
		}
	}
	return 0, false
}

// churn changes another link every few milliseconds; each fiftieth time one comes or goes.
func (w *witness) churn(t *testing.T, stop <-chan struct{}) (events int) {
	in, end := w.ip(t)
	defer end()
	tick := time.NewTicker(churn)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			last := "link del churn0\n"
			if r := i % 100; r > 10 && r <= 60 {
				last += "link del churn1\n"
			}
			if _, err := io.WriteString(in, last); err != nil {
				t.Errorf("churn: %v", err)
			}
			return events
		case <-tick.C:
		}
		what := fmt.Sprintf("link set churn0 mtu %d\n", 1300+i%2)
		switch {
		case i == 0:
			what = "link add churn0 type bridge\n"
		case i%100 == 10:
			what = "link add churn1 type veth peer name churn2\n"
		case i%100 == 60:
			what = "link del churn1\n"
		}
		if _, err := io.WriteString(in, what); err != nil {
			t.Errorf("churn: %v", err)
			return events
		}
		events++
	}
}
