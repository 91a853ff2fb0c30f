package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	soakVariable = "NETMEND_SOAK" // how long the soak lasts; longer than by default by hand
	soakDefault  = 5 * time.Minute
	killEvery    = 20 * time.Second
)

// TestSoak lets pods come and go, Services change, a rival rewrite the CNI configuration and flannel make its tunnel anew, and kills the daemon every 20
// seconds; for the last third it lets it live, so that what it does not give back adds up. At the end everything is as a fresh look finds it.
func TestSoak(t *testing.T) {
	length := soakDefault
	if s := os.Getenv(soakVariable); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	n.Sh("nft add table ip kube-proxy; nft add map ip kube-proxy service-ips '{ type ipv4_addr . inet_proto . inet_service : verdict; }'")
	rules := n.Sh("nft -s list ruleset")
	namespaces := netns(t)
	d := newDaemon(t, n, "fix", "checks: {tunnel-tx-checksum: {settle: 0s}}", "intervals: {fullAudit: 30s, counterWindow: 5s}").start()
	d.ready()

	trouble := startTrouble(t, f)
	kills := 0
	for end := time.Now().Add(length * 2 / 3); time.Now().Before(end); kills++ {
		d.pause(killEvery)
		d.p.Signal(syscall.SIGKILL)
		if !d.p.Ends(patience) {
			t.Fatal("netmendd does not end on SIGKILL")
		}
		d.start()
	}
	d.ready()
	d.pause(10 * time.Second)
	young := d.use()
	d.pause(length / 3)
	trouble.end()
	done := trouble.String()

	d.until("the last tunnel and the last chain", func(s *status.Document) string {
		x := finding(s, "tunnel-tx-checksum")
		if x != nil && x.Severity.String() != "info" {
			return x.Message
		}
		if !s.Chain.In {
			return fmt.Sprintf("%+v", s.Chain)
		}
		return ""
	})
	if took := connect(t, f); took > fast {
		t.Errorf("at last the connect takes %s", took)
	}
	d.sameAsFresh()
	old := d.use()
	t.Logf("%d kills; %s; the last daemon: %s after 10 s, %s after %s", kills, done, young, old, length/3)
	if old.files > young.files+3 || old.goroutines > young.goroutines+5 || old.threads > young.threads+10 {
		t.Errorf("the daemon does not give back what it uses: %s became %s", young, old)
	}
	if got := netns(t); !slices.Equal(got, namespaces) {
		t.Errorf("namespaces: %v; want %v", got, namespaces)
	}
	if d := cmp.Diff(rules, n.Sh("nft -s list ruleset")); d != "" {
		t.Errorf("rules (-before +after):\n%s", d)
	}
	d.chainWhole()
	d.stop()
	d.journalWhole(f)
}

// pause waits; a daemon that ends meanwhile fails the test.
func (d *daemon) pause(of time.Duration) {
	d.t.Helper()
	if d.p.Ends(of) {
		d.t.Fatalf("netmendd has ended:%s", d.log(40))
	}
}

// use is what a daemon uses.
type use struct {
	files, threads, goroutines int
	resident                   string
}

func (u use) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d goroutines, %s", u.files, u.threads, u.goroutines, u.resident)
}

// use counts the least of several looks: a request under way uses something.
func (d *daemon) use() use {
	d.t.Helper()
	least := use{files: 1 << 30}
	for range 10 {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.p.PID()))
		if err != nil {
			d.t.Fatal(err)
		}
		goroutines, err := d.metric("go_goroutines")
		if err != nil {
			d.t.Fatal(err)
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.p.PID()))
		if err != nil {
			d.t.Fatal(err)
		}
		u := use{files: len(files), goroutines: int(goroutines)}
		for line := range strings.Lines(string(text)) {
			if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
				u.resident = strings.TrimSpace(v)
			}
			if v, ok := strings.CutPrefix(line, "Threads:"); ok {
				fmt.Sscan(v, &u.threads)
			}
		}
		if u.files < least.files {
			least = u
		}
		time.Sleep(200 * time.Millisecond)
	}
	return least
}

func netns(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir("/run/netns")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), fmt.Sprintf("nm%d-", os.Getpid())) {
			names = append(names, e.Name())
		}
	}
	return names
}

// sameAsFresh compares what the daemon has found with an audit by netmendctl.
func (d *daemon) sameAsFresh() {
	d.t.Helper()
	lab.WaitFor(d.t, patience, "the daemon's findings to be those of a fresh audit", func() (bool, string) {
		s, err := d.status()
		if err != nil {
			return false, err.Error()
		}
		var own, fresh []string
		for _, f := range s.Findings {
			own = append(own, fmt.Sprintf("%s %s %s", f.Severity, f.Check, f.Where))
		}
		for _, f := range d.n.Audit().Findings {
			fresh = append(fresh, fmt.Sprintf("%s %s %s", f.Severity, f.Check, f.Where))
		}
		slices.Sort(own)
		slices.Sort(fresh)
		diff := cmp.Diff(fresh, own)
		return diff == "", "-fresh +daemon\n" + diff
	})
}

// chainWhole looks at the configuration that the container runtime would read.
func (d *daemon) chainWhole() {
	d.t.Helper()
	var list struct {
		Name    string
		Plugins []struct{ Type string }
	}
	text := read(d.t, d.n, "etc/cni/net.d/10-flannel.conflist")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		d.t.Errorf("the chain: %v in %s", err, text)
	}
	var types []string
	for _, p := range list.Plugins {
		types = append(types, p.Type)
	}
	if want := []string{"flannel", "portmap", "netmend"}; !slices.Equal(types, want) {
		d.t.Errorf("the chain is %v; want %v", types, want)
	}
	files, err := os.ReadDir(filepath.Join(d.n.Root, "etc/cni/net.d"))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range files {
		if f.Name() != "10-flannel.conflist" {
			d.t.Errorf("%s was left beside the configuration", f.Name())
		}
	}
}

// journalWhole takes all fixes back: the tunnel that is there now was mended by one of them.
func (d *daemon) journalWhole(f *lab.Flannel) {
	d.t.Helper()
	n := d.n
	for _, words := range [][]string{{"history", "--root", n.Root}, {"undo", "--all", "--root", n.Root, "--netns", n.Path}} {
		if out, err := lab.Netmendctl(words...).CombinedOutput(); err != nil {
			d.t.Errorf("netmendctl %v: %v: %s", words, err, out)
		}
	}
	if took := connect(d.t, f); took < slow {
		d.t.Errorf("after undo --all the connect takes %s: the journal did not know of the last fix", took)
	}
}

// trouble is everything that happens to a node but the daemon's death.
type trouble struct {
	t    *testing.T
	f    *lab.Flannel
	stop chan struct{}
	all  sync.WaitGroup

	mu     sync.Mutex
	counts map[string]int
}

func startTrouble(t *testing.T, f *lab.Flannel) *trouble {
	tr := &trouble{t: t, f: f, stop: make(chan struct{}), counts: map[string]int{}}
	tr.every("pods", 500*time.Millisecond, tr.pod)
	tr.every("changes of Services", 700*time.Millisecond, tr.service)
	tr.every("rewrites of the chain", 15*time.Second, tr.rewrite)
	tr.every("tunnels", 3*time.Second, tr.tunnel)
	t.Cleanup(tr.end)
	return tr
}

// every does something again and again, until the end.
func (tr *trouble) every(what string, pause time.Duration, do func(turn int) error) {
	tr.all.Go(func() {
		for turn := 0; ; turn++ {
			select {
			case <-tr.stop:
				return
			case <-time.After(pause/2 + rand.N(pause)):
			}
			if err := do(turn); err != nil {
				tr.t.Errorf("%s: %v", what, err)
				return
			}
			tr.mu.Lock()
			tr.counts[what]++
			tr.mu.Unlock()
		}
	})
}

// end waits until nothing happens any more. It may be called twice.
func (tr *trouble) end() {
	select {
	case <-tr.stop:
	default:
		close(tr.stop)
	}
	tr.all.Wait()
}

func (tr *trouble) String() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return fmt.Sprint(tr.counts)
}

// pod makes a pod as a container runtime does, and deletes it.
func (tr *trouble) pod(turn int) error {
	n := tr.f.Nodes[0]
	name := fmt.Sprintf("nm%d-soak-%d", os.Getpid(), turn)
	dev, address := fmt.Sprintf("vsoak%d", turn%10), fmt.Sprintf("10.244.0.%d", 10+turn%200)
	link, lease := filepath.Join(n.Root, "run/netns", name), filepath.Join(n.Root, "var/lib/cni/networks/cbr0", address)
	if err := errors.Join(os.MkdirAll(filepath.Dir(lease), 0o755), os.WriteFile(lease, []byte(name+"\r\neth0"), 0o600)); err != nil {
		return err
	}
	_, err := lab.Shell(fmt.Sprintf(`ip netns add %[1]s; ln -s /run/netns/%[1]s %[2]s
ip -n %[3]s link add %[4]s mtu 1450 type veth peer name eth0 mtu 1450 netns %[1]s; ip -n %[3]s link set %[4]s up master cni0
ip -n %[1]s link set eth0 up; ip -n %[1]s addr add %[5]s/24 dev eth0; ip -n %[1]s route add default via 10.244.0.1; sleep 0.5
ip -n %[3]s link del %[4]s; rm %[2]s; ip netns del %[1]s`, name, link, n.Name, dev, address))
	return errors.Join(err, os.Remove(lease))
}

// service changes kube-proxy's table, and puts it back.
func (tr *trouble) service(turn int) error {
	_, err := tr.f.Nodes[0].Try(fmt.Sprintf(`nft 'add chain ip kube-proxy %[1]s; add rule ip kube-proxy %[1]s ip daddr 10.96.1.1 counter; add element ip kube-proxy service-ips { 10.96.1.1 . tcp . 80 : goto %[1]s }'
sleep 0.2
nft 'delete element ip kube-proxy service-ips { 10.96.1.1 . tcp . 80 }; delete chain ip kube-proxy %[1]s'`, fmt.Sprintf("service-%d", turn)))
	return err
}

// rewrite is another installer, which knows nothing of netmend.
func (tr *trouble) rewrite(int) error {
	n := tr.f.Nodes[0]
	const list = `{"name":"cbr0","cniVersion":"1.0.0","plugins":[
{"type":"flannel","delegate":{"hairpinMode":true,"isDefaultGateway":true}},{"type":"portmap","capabilities":{"portMappings":true}}]}`
	file, path := filepath.Join(n.Root, "etc/cni/rival"), filepath.Join(n.Root, "etc/cni/net.d/10-flannel.conflist")
	return errors.Join(os.WriteFile(file, []byte(list), 0o644), os.Rename(file, path))
}

// tunnel is flannel, whose configuration has changed.
func (tr *trouble) tunnel(int) error {
	_, err := tr.f.Nodes[0].Try(`ip link del flannel.1
ip link add flannel.1 address 02:00:00:00:00:0a mtu 1450 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472 nolearning udpcsum
ip addr add 10.244.0.0/32 dev flannel.1; ip link set flannel.1 up
ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink; ip neigh add 10.244.1.0 lladdr 02:00:00:00:00:0b dev flannel.1 nud permanent
bridge fdb add 02:00:00:00:00:0b dev flannel.1 dst 192.0.2.2 self permanent`)
	return err
}
