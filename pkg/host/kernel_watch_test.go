package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// settle is how long nothing must be told for what has happened to be told.
const settle = 300 * time.Millisecond

// watch is a Watch that runs.
type watch struct {
	t       *testing.T
	mu      sync.Mutex
	changes []host.Change
	hold    sync.Mutex // held: report does not return
}

// startWatch waits until everything is watched.
func startWatch(t *testing.T, h *host.Host) *watch {
	t.Helper()
	w := &watch{t: t}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- h.Watch(ctx, func(c host.Change) {
			w.mu.Lock()
			w.changes = append(w.changes, c)
			w.mu.Unlock()
			w.hold.Lock()
			defer w.hold.Unlock()
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Watch = %v; want context.Canceled", err)
			}
		case <-time.After(time.Minute):
			t.Error("Watch does not end")
		}
	})
	first := w.next("the first", func(host.Change) bool { return true })
	if !first.Lost || !first.Pods || first.Deaf != "" || !strings.HasPrefix(first.Cause, "start") {
		t.Fatalf("the first change is %+v; want all that can be told, from the start", first)
	}
	return w
}

// block keeps report from returning, until release.
func (w *watch) block() (release func()) {
	w.hold.Lock()
	release = sync.OnceFunc(w.hold.Unlock)
	w.t.Cleanup(release)
	return release
}

// alone is the bench's node with files of its own: those of this machine change while other tests run.
func (b *bench) alone() *host.Host {
	b.t.Helper()
	root := b.t.TempDir()
	for _, dir := range []string{"proc", "sys"} {
		if err := os.Symlink("/"+dir, filepath.Join(root, dir)); err != nil {
			b.t.Fatal(err)
		}
	}
	h, err := host.Open(host.Options{Root: root, NetNS: "/run/netns/" + b.name})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { h.Close() })
	return h
}

// next forgets what was told up to the first change that fits, and gives that.
func (w *watch) next(what string, fits func(host.Change) bool) host.Change {
	w.t.Helper()
	for start := time.Now(); ; time.Sleep(2 * time.Millisecond) {
		w.mu.Lock()
		i := slices.IndexFunc(w.changes, fits)
		if i >= 0 {
			c := w.changes[i]
			w.changes = w.changes[i+1:]
			w.mu.Unlock()
			return c
		}
		told := fmt.Sprintf("%+v", w.changes)
		w.mu.Unlock()
		if time.Since(start) > 30*time.Second {
			w.t.Fatalf("%s: not told within 30 s, only %s", what, told)
		}
	}
}

// quiet waits until nothing has been told for a moment, and forgets what was.
func (w *watch) quiet(of time.Duration) []host.Change {
	var all []host.Change
	for start := time.Now(); ; {
		time.Sleep(of)
		w.mu.Lock()
		got := w.changes
		w.changes = nil
		w.mu.Unlock()
		all = append(all, got...)
		if len(got) == 0 || time.Since(start) > 20*time.Second { // the machine's own namespace may never be quiet
			return all
		}
	}
}

func has(kinds ...facts.Kind) func(host.Change) bool {
	return func(c host.Change) bool {
		return !slices.ContainsFunc(kinds, func(k facts.Kind) bool { return !slices.Contains(c.Kinds, k) })
	}
}

func TestWatchKernel(t *testing.T) {
	b := newBench(t,
		"ip link set lo up; ip link add br0 type bridge; ip link set br0 up",
		"ip link add v0 type veth peer name v1; ip link set v0 up; ip link set v1 up; ip link set v0 master br0; ip addr add 192.0.2.1/24 dev v1",
		"ip link add x0 type vxlan id 1 dev v1 local 192.0.2.1 dstport 8472; ip link set x0 up",
	)
	pod := newPeer(t)
	w := startWatch(t, b.alone())
	link := func(c host.Change) bool { return has(facts.KindLinks, facts.KindTunnels)(c) }
	for _, tt := range []struct {
		name, do string
		want     func(host.Change) bool
	}{
		{"MTU", "ip link set x0 mtu 1300", link},
		{"down", "ip link set x0 down", link},
		{"up", "ip link set x0 up", link},
		{"features", "ethtool -K x0 tx off", has(facts.KindFeatures)},
		{"deleted", "ip link del x0", has(facts.KindLinks, facts.KindTunnels, facts.KindSysctls)},
		{
			"made", "ip link add x0 type vxlan id 1 dev v1 local 192.0.2.1 dstport 8472",
			has(facts.KindLinks, facts.KindTunnels, facts.KindFeatures, facts.KindSysctls),
		},
		{"address", "ip addr add 192.0.2.9/24 dev v1", has(facts.KindAddresses)},
		{"address gone", "ip addr del 192.0.2.9/24 dev v1", has(facts.KindAddresses)},
		{"IPv6 address", "ip addr add fd00::9/64 dev v1 nodad", has(facts.KindAddresses)},
		{"route", "ip route add 198.51.100.0/24 via 192.0.2.2", has(facts.KindRoutes)},
		{"route gone", "ip route del 198.51.100.0/24", has(facts.KindRoutes)},
		{"next hop", "ip nexthop add id 7 via 192.0.2.2 dev v1", has(facts.KindRoutes)},
		{"rule", "ip rule add pref 100 from 192.0.2.1 table 100", has(facts.KindRules)},
		{"IPv6 rule", "ip -6 rule add pref 100 from fd00::9 table 100", has(facts.KindRules)},
		{"forwarding", "sysctl -qw net.ipv4.conf.v0.forwarding=1", has(facts.KindSysctls)},
		{"ip_forward", "sysctl -qw net.ipv4.ip_forward=1", has(facts.KindSysctls)},
		{"rp_filter", "sysctl -qw net.ipv4.conf.v1.rp_filter=1", has(facts.KindSysctls)},
		{"IPv6 forwarding", "sysctl -qw net.ipv6.conf.v0.forwarding=1", has(facts.KindSysctls)},
		{"hairpin", "bridge link set dev v0 hairpin on", has(facts.KindLinks, facts.KindPodLinks)},
		{"nftables", "nft add table ip t", has(facts.KindNFTables, facts.KindServiceVIPs)},
		{"nftables gone", "nft delete table ip t", has(facts.KindNFTables, facts.KindServiceVIPs)},
		{"iptables-nft", "iptables-nft -A FORWARD -j DROP", has(facts.KindNFTables, facts.KindServiceVIPs)},
		{
			"a pod", "ip link add p0 type veth peer name eth0 netns " + pod.name,
			func(c host.Change) bool { return c.Pods && has(facts.KindPodLinks)(c) },
		},
		{"a pod's link in the bridge", "ip link set p0 master br0", has(facts.KindLinks, facts.KindPodLinks)},
		{"a pod gone", "ip link del p0", func(c host.Change) bool { return c.Pods && has(facts.KindPodLinks)(c) }},
		{"a link into a pod", "ip link add mv0 link v1 type macvlan; ip link set mv0 netns " + pod.name, func(c host.Change) bool { return c.Pods }},
	} {
		w.quiet(50 * time.Millisecond)
		b.sh(tt.do)
		if c := w.next(tt.name, tt.want); c.Lost || c.Deaf != "" || c.Cause == "" {
			t.Errorf("%s was told as %+v; want nothing lost, and a cause", tt.name, c)
		}
	}
}

// TestWatchPodCheap: what a pod's link does once it is there makes nobody read what is dear.
func TestWatchPodCheap(t *testing.T) {
	b := newBench(t, "ip link add br0 type bridge; ip link set br0 up")
	pod := newPeer(t)
	b.sh("ip link add p0 type veth peer name eth0 netns " + pod.name + "; ip link set p0 master br0 up")
	pod.sh("ip link set eth0 up")
	w := startWatch(t, b.alone())
	w.quiet(settle)
	for range 5 {
		b.sh("ip link set p0 down")
		b.sh("ip link set p0 up")
		pod.sh("ip link set eth0 down; ip link set eth0 up")
		b.sh("ip link set p0 alias x")
	}
	cheap := []facts.Kind{facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes}
	for _, c := range w.quiet(settle) {
		if c.Pods || slices.ContainsFunc(c.Kinds, func(k facts.Kind) bool { return !slices.Contains(cheap, k) }) {
			t.Errorf("a pod's link that goes down and up is told as %+v; want only %v", c, cheap)
		}
	}
}

// TestWatchOverflow: more events than fit into the buffer are told as Lost, and what happens after is heard.
func TestWatchOverflow(t *testing.T) {
	b := newBench(t, "ip link add v0 type veth peer name v1", "ip link add x0 type vxlan id 1 local 192.0.2.1 dstport 8472")
	w := startWatch(t, b.alone())
	w.quiet(settle)
	release := w.block()
	b.sh("ip link set v0 up") // report is in this one while the others happen
	w.next("the event in hand", has(facts.KindLinks))
	batch := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(batch, []byte(strings.Repeat("link set v0 mtu 1400\nlink set v0 mtu 1401\n", 8000)), 0o600); err != nil {
		t.Fatal(err)
	}
	b.must("ip", "-n", b.name, "-batch", batch)
	b.sh("ethtool -K x0 tx off") // the last event is dropped
	release()
	lost := w.next("the overflow", func(c host.Change) bool { return c.Lost })
	if want := has(facts.KindFeatures, facts.KindLinks, facts.KindAddresses, facts.KindRoutes); !want(lost) || !lost.Pods {
		t.Errorf("the overflow is told as %+v; want all that rtnetlink tells of", lost)
	}
	w.quiet(settle)
	b.sh("ethtool -K x0 tx on")
	w.next("an event after the overflow", has(facts.KindFeatures))
}

// TestWatchBurst: of thousands of events that fit into the buffer none is missing, in a few changes.
func TestWatchBurst(t *testing.T) {
	b := newBench(t)
	w := startWatch(t, b.alone())
	w.quiet(settle)
	const links = 100
	var add strings.Builder
	for i := range links {
		fmt.Fprintf(&add, "link add b%d group 7 type bridge\n", i)
	}
	for i := range 4000 {
		fmt.Fprintf(&add, "route add blackhole 10.%d.%d.0/24\n", i/256, i%256)
	}
	batch := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(batch, []byte(add.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	told := func() map[int]bool {
		all := map[int]bool{}
		for _, c := range w.quiet(settle) {
			for _, l := range c.Links {
				all[l] = true
			}
			if c.Lost {
				t.Errorf("%+v; want nothing lost", c)
			}
		}
		return all
	}
	b.must("ip", "-n", b.name, "-batch", batch)
	if n := len(told()); n != links {
		t.Errorf("%d links were told; want %d", n, links)
	}
	b.sh("ip link del group 7")
	if n := len(told()); n != links {
		t.Errorf("the end of %d links was told; want %d", n, links)
	}
}

// TestWatchEnds: the context ends a watch at once, even where nothing happens.
func TestWatchEnds(t *testing.T) {
	h := newBench(t).alone()
	before := descriptors(t)
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		started := make(chan bool, 1)
		done := make(chan error, 1)
		go func() {
			done <- h.Watch(ctx, func(host.Change) {
				select {
				case started <- true:
				default:
				}
			})
		}()
		<-started
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatalf("Watch = %v; want context.Canceled", err)
		}
	}
	if files := descriptors(t); files > before+10 {
		t.Errorf("%d descriptors are open after 50 watches, %d were before", files, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}
