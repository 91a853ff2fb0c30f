package collect_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

var namespaces atomic.Int64

// space is a network namespace that lives as long as its test.
type space struct {
	t    testing.TB
	name string
}

func newSpace(t testing.TB, role string) *space {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root for network namespaces")
	}
	s := &space{t, fmt.Sprintf("nmc%d-%d-%s", os.Getpid(), namespaces.Add(1), role)}
	s.must("ip", "netns", "add", s.name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", s.name).Run() }) // the test may have deleted it
	s.batch("link set lo up")
	return s
}

func (s *space) path() string { return filepath.Join("/run/netns", s.name) }

func (s *space) must(words ...string) {
	s.t.Helper()
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
}

// batch runs commands of ip in the namespace.
func (s *space) batch(lines ...string) {
	s.t.Helper()
	cmd := exec.Command("ip", "-n", s.name, "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("ip -n %s: %v: %s", s.name, err, out)
	}
}

// open is the node that lives in the namespace.
func (s *space) open() *host.Host {
	s.t.Helper()
	h, err := host.Open(host.Options{NetNS: s.path()})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { h.Close() })
	return h
}

// bridgePod hangs a pod on the node's bridge cni0.
func (s *space) bridgePod(number int) *space {
	pod := newSpace(s.t, fmt.Sprintf("pod%d", number))
	s.batch(
		fmt.Sprintf("link add veth%d type veth peer name eth0 netns %s", number, pod.name),
		fmt.Sprintf("link set veth%d master cni0 up", number),
	)
	pod.batch(fmt.Sprintf("addr add 10.244.%d.%d/16 dev eth0", number/250, number%250+2), "link set eth0 up", "route add default via 10.244.0.1")
	return pod
}

func newNode(t testing.TB) *space {
	t.Helper()
	node := newSpace(t, "node")
	node.batch("link add cni0 type bridge", "addr add 10.244.0.1/16 dev cni0", "link set cni0 up")
	return node
}

func collected(t testing.TB, h *host.Host, o collect.Options) *facts.Snapshot {
	t.Helper()
	s, err := collect.Collect(t.Context(), h, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Errorf("the snapshot is not valid: %v", err)
	}
	return s
}

func podPaths(s *facts.Snapshot) []string {
	var paths []string
	for _, p := range s.Pods {
		paths = append(paths, p.Path)
	}
	slices.Sort(paths)
	return paths
}

func TestPodsAreFound(t *testing.T) {
	node, peer, router := newNode(t), newSpace(t, "peer"), newSpace(t, "router")
	bridged, ptp, child := node.bridgePod(1), newSpace(t, "ptp"), newSpace(t, "child")
	node.batch(
		"link add eth0 type veth peer name eth0 netns "+peer.name, "addr add 192.0.2.1/24 dev eth0", "link set eth0 up",
		"link add eth1 type veth peer name eth1 netns "+router.name, "addr add 198.51.100.1/32 dev eth1", "link set eth1 up",
		"route add default via 198.51.100.254 dev eth1 onlink",
		"link add cali1 type veth peer name eth0 netns "+ptp.name, "link set cali1 up", "route add 10.244.9.9/32 dev cali1 scope link",
		"link add mv0 link eth0 type macvlan mode bridge", "link set mv0 netns "+child.name+" name eth0",
	)
	peer.batch("addr add 192.0.2.2/24 dev eth0", "link set eth0 up", "link add cni0 type bridge", "addr add 10.245.0.1/16 dev cni0")
	router.batch("addr add 198.51.100.254/32 dev eth1", "link set eth1 up")
	ptp.batch("addr add 10.244.9.9/32 dev eth0", "link set eth0 up")
	child.batch("addr add 192.0.2.9/24 dev eth0", "link set eth0 up")
	foreign := newSpace(t, "foreign") // a pod of the other node
	peer.batch("link add veth1 type veth peer name eth0 netns "+foreign.name, "link set veth1 master cni0 up")
	foreign.batch("addr add 10.245.0.5/16 dev eth0", "link set eth0 up")

	s := collected(t, node.open(), collect.Options{Kinds: collect.All()})
	want := []string{bridged.path(), ptp.path(), child.path()}
	slices.Sort(want)
	if d := cmp.Diff(want, podPaths(s)); d != "" {
		t.Errorf("the node's pods (-want +got):\n%s", d)
	}
	if why, missing := s.Missing[facts.KindPods]; missing {
		t.Errorf("pods are missing: %s", why)
	}
	if got, want := podPaths(collected(t, peer.open(), collect.Options{Kinds: collect.All()})), []string{foreign.path()}; !slices.Equal(got, want) {
		t.Errorf("the other node's pods = %v; want %v", got, want)
	}
	pod := s.Pods[slices.IndexFunc(s.Pods, func(p facts.Namespace) bool { return p.Path == bridged.path() })]
	if eth0 := pod.LinkNamed("eth0"); eth0 == nil || s.Host.Link(eth0.Parent) == nil || s.Host.Link(eth0.Parent).Name != "veth1" || pod.NSID == nil {
		t.Errorf("eth0 of the pod = %+v, its namespace's number %v; want the other end of veth1", eth0, pod.NSID)
	}
	if pod.Counters == nil || pod.Sysctls["net/core/somaxconn"] == "" || len(pod.Routes) == 0 || len(pod.Missing) != 0 {
		t.Errorf("not all was read of the pod: missing %v", pod.Missing)
	}
	for name, features := range map[string]bool{"eth0": true, "cni0": true, "veth1": false, "cali1": false} {
		if got := s.Host.LinkNamed(name).Features != nil; got != features {
			t.Errorf("features of %s are read: %v; want %v", name, got, features)
		}
	}
	if got := s.Host.Sysctls["net/ipv4/conf/eth0/arp_ignore"] + s.Host.Sysctls["net/ipv4/conf/cali1/forwarding"]; got != "00" {
		t.Errorf("sysctls of the node's devices = %q; want 00", got)
	}
}

// What is asked for is read, and nothing else is in the snapshot.
func TestKindsAreThoseAskedFor(t *testing.T) {
	node := newNode(t)
	node.bridgePod(1)
	h := node.open()
	for _, tt := range []struct {
		name  string
		kinds []facts.Kind
		want  []facts.Kind
		check func(*facts.Snapshot) bool
	}{
		{"nothing", nil, nil, func(s *facts.Snapshot) bool { return s.Host.Links == nil && s.Pods == nil && s.Host.Sysctls == nil }},
		{
			"links are also tunnels and pods' links", []facts.Kind{facts.KindLinks}, []facts.Kind{facts.KindLinks, facts.KindTunnels, facts.KindPodLinks},
			func(s *facts.Snapshot) bool {
				return len(s.Host.Links) == 3 && s.Host.Addresses == nil && s.Pods == nil
			},
		},
		{
			"tunnels alone", []facts.Kind{facts.KindTunnels}, []facts.Kind{facts.KindTunnels},
			func(s *facts.Snapshot) bool { return len(s.Host.Links) == 3 },
		},
		{
			"pods and their counters", []facts.Kind{facts.KindPods, facts.KindCounters}, []facts.Kind{facts.KindPods, facts.KindCounters},
			func(s *facts.Snapshot) bool {
				return s.Host.Links == nil && len(s.Pods) == 1 && s.Pods[0].Counters != nil && s.Pods[0].Links == nil && s.Pods[0].Addresses == nil
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := collected(t, h, collect.Options{Kinds: tt.kinds})
			if d := cmp.Diff(tt.want, s.Kinds); d != "" {
				t.Errorf("kinds (-want +got):\n%s", d)
			}
			if !tt.check(s) || len(s.Missing) != 0 {
				t.Errorf("collected %+v", s)
			}
		})
	}
}

func TestWindow(t *testing.T) {
	node := newNode(t)
	pod := node.bridgePod(1)
	h := node.open()
	ns, err := h.Namespace(pod.path())
	if err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	if err := ns.Do(func() (err error) { conn, err = net.Dial("udp4", "127.0.0.1:9"); return err }); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	calls := 0
	var last [2]time.Duration
	s := collected(t, h, collect.Options{Kinds: collect.All(), Window: 800 * time.Millisecond, Progress: func(done, total time.Duration) {
		if calls++; calls == 2 {
			conn.Write([]byte("x")) // the port is closed: the next write says so
		}
		last = [2]time.Duration{done, total}
	}})
	if s.Window == nil || s.Window.Seconds < 0.8 {
		t.Fatalf("window = %+v; want at least 0.8 s", s.Window)
	}
	if calls < 4 || last != [2]time.Duration{800 * time.Millisecond, 800 * time.Millisecond} {
		t.Errorf("progress was told %d times, last %v; want some 4 and the end", calls, last)
	}
	if got, ok := s.Pods[0].Counters.Delta["Udp.NoPorts"]; !ok || got != 1 {
		t.Errorf("delta of Udp.NoPorts in the pod = %d, %v; want 1", got, ok)
	}
	if got, ok := s.Host.Counters.Delta["Udp.NoPorts"]; !ok || got != 0 {
		t.Errorf("delta of Udp.NoPorts on the node = %d, %v; want 0", got, ok)
	}
	if l := s.Host.LinkNamed("veth1"); l.DeltaTx == nil || s.Host.Softnet.DeltaDropped == nil {
		t.Error("links or softnet have no deltas")
	}
}

func TestContext(t *testing.T) {
	node := newNode(t)
	node.bridgePod(1)
	h := node.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := collect.Collect(ctx, h, collect.Options{Kinds: collect.All()}); !errors.Is(err, context.Canceled) || s != nil {
		t.Errorf("Collect() of a cancelled context = %v, %v; want its error", s, err)
	}
	late, done := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer done()
	s, err := collect.Collect(late, h, collect.Options{Kinds: collect.All()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Has(facts.KindLinks) || s.Has(facts.KindPods) || !strings.Contains(s.Missing[facts.KindLinks], "not in time") {
		t.Errorf("missing = %v; want everything: there was no time", s.Missing)
	}
	soon, done := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer done()
	s, err = collect.Collect(soon, h, collect.Options{Kinds: collect.All(), Window: time.Hour})
	if err != nil || s.Window != nil || !s.Has(facts.KindLinks) || s.Host.Counters.Delta != nil {
		t.Errorf("Collect() with a window beyond the deadline: error %v, window %+v; want one sample", err, s.Window)
	}
}

// Pods come and go while a node is read. Those that are gone are not in the snapshot, and are no error.
func TestPodsComeAndGo(t *testing.T) {
	node := newNode(t)
	stays := node.bridgePod(1)
	h := node.open()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			name := fmt.Sprintf("nmc%d-churn%d", os.Getpid(), i)
			script := fmt.Sprintf(`ip netns add %[1]s && ip -n %[2]s link add churn type veth peer name eth0 netns %[1]s && ip -n %[2]s link set churn master cni0 up
				ip -n %[1]s addr add 10.244.3.3/16 dev eth0; ip -n %[1]s link set eth0 up; ip netns del %[1]s; ip -n %[2]s link del churn 2>/dev/null`, name, node.name)
			exec.Command("sh", "-c", script).Run() // the link may be gone with the namespace already
		}
	}()
	for range 40 {
		s := collected(t, h, collect.Options{Kinds: collect.All()})
		if why, missing := s.Missing[facts.KindPods]; missing {
			t.Errorf("pods are missing: %s", why)
		}
		if !slices.Contains(podPaths(s), stays.path()) || len(s.Pods) > 2 {
			t.Errorf("pods = %v; want %s, and at most one more", podPaths(s), stays.path())
		}
		for _, p := range s.Pods {
			if !slices.ContainsFunc(p.Addresses, func(a facts.Address) bool { return a.Prefix.Contains(netip.MustParseAddr("10.244.0.1")) }) {
				t.Errorf("pod %s has no address: it was read while it was being deleted", p.Path)
			}
		}
	}
	close(stop)
	<-stopped
}

// Someone without any right sees what the kernel shows him, and the reason for the rest.
func TestAsNobody(t *testing.T) {
	const asked = "NETMEND_TEST_NOBODY"
	if os.Getenv(asked) != "" {
		h, err := host.Open(host.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		s := collected(t, h, collect.Options{Kinds: collect.All(), Window: 10 * time.Millisecond})
		for _, k := range []facts.Kind{facts.KindLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFeatures, facts.KindCounters, facts.KindSockets} {
			if !s.Has(k) {
				t.Errorf("%s are missing: %s", k, s.Missing[k])
			}
		}
		if why := s.Missing[facts.KindPods]; s.Node.Privileged || !strings.Contains(why, "permission denied") {
			t.Errorf("pods are missing: %q; want: permission denied", why)
		}
		return
	}
	cmd := asNobody(t, "-test.run=^TestAsNobody$", "-test.v")
	cmd.Env = append(os.Environ(), asked+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
