package crash

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/test/e2e/lab"
)

// node is a namespace with something of every kind of knob.
type node struct {
	*lab.NS
	t     *testing.T
	host  *host.Host
	ipam  string
	fixes []fix.Proposal

	before, after string        // what can be seen without the fixes, and with all of them
	took          time.Duration // to make all fixes, as a process
}

const setup = `
sysctl -qw net/ipv6/conf/all/disable_ipv6=1 net/ipv6/conf/default/disable_ipv6=1 net/ipv4/conf/all/accept_redirects=0 net/ipv4/conf/lo/forwarding=1
ip link add eth0 type veth peer name p0
ip link add br0 type bridge; ip link set p0 master br0
ip link add flannel.1 type vxlan id 1 local 10.1.0.1 dev eth0 dstport 8472 nolearning
iptables-nft -P FORWARD DROP; iptables-nft -t nat -A POSTROUTING -j MASQUERADE
`

func newNode(t *testing.T) *node {
	n := &node{NS: lab.NewNS(t, "crash"), t: t, ipam: t.TempDir()}
	n.Sh(setup)
	h, err := host.Open(host.Options{NetNS: n.Path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	n.host = h
	text := "0123456789abcdef\r\neth0"
	ip := netip.MustParseAddr("10.244.0.5")
	for name, content := range map[string]string{ip.String(): text, "lock": "", "last_reserved_ip.0": ip.String()} {
		if err := os.WriteFile(filepath.Join(n.ipam, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	on := func(knob fix.Knob, device, from, to string) fix.Change {
		return fix.Change{Knob: knob, On: n.ref(device), From: from, To: to}
	}
	propose := func(check string, changes ...fix.Change) {
		n.fixes = append(n.fixes, fix.Proposal{Check: check, Fix: fix.Fix{Title: "mend " + check, Changes: changes}})
	}
	propose("offload", on(fix.Ethtool(facts.FeatureTxChecksum), "flannel.1", "on", "off"))
	propose("port", on(fix.LinkMTU, "eth0", "1500", "1450"), on(fix.LinkMTU, "p0", "1500", "1450"), on(fix.Hairpin, "p0", "off", "on"))
	propose("forwarding", on(fix.Sysctl("net/ipv4/ip_forward"), "", "0", "1"))
	propose("rules", on(fix.RuleTunnelAccept(8472), "", fix.Absent, fix.Present), on(fix.RuleForwardAccept(netip.MustParsePrefix("10.244.0.0/16")), "", fix.Absent, fix.Present))
	propose("reservation", on(fix.Reservation(n.ipam, ip), "", text, fix.Absent))

	n.before = n.state()
	dir := t.TempDir()
	start := time.Now()
	n.run(job{Dir: dir, Fixes: n.fixes})
	n.took = time.Since(start)
	n.after = n.state()
	n.run(job{Dir: dir, Undo: true})
	if diff := n.diff(n.before); diff != "" {
		t.Fatalf("without any crash the undo leaves (-before +now):\n%s", diff)
	}
	return n
}

func (n *node) ref(device string) facts.Ref {
	r := facts.Ref{NetNS: n.host.Node().Inode, Name: "node"}
	if device != "" {
		r.Name = device
		fmt.Sscan(n.Sh("cat /sys/class/net/"+device+"/ifindex"), &r.Index)
	}
	return r
}

var moving = regexp.MustCompile(`random[^\n]*|_timer +[0-9.]+|nf_conntrack_count[^\n]*`)

// state is everything that anybody could see of the node.
func (n *node) state() string {
	n.t.Helper()
	return moving.ReplaceAllString(n.Sh(`ip -d link; ip addr; ip route show table all; bridge -d link; for d in $(ls /sys/class/net); do ethtool -k $d; done; nft -s list ruleset
		grep -H . `+n.ipam+`/* | sort; ls -A `+n.ipam+`
		cd /proc/sys/net; grep -rsH . ipv4 bridge netfilter core | sort`), "")
}

func (n *node) diff(want string) string {
	n.t.Helper()
	return cmp.Diff(strings.Split(want, "\n"), strings.Split(n.state(), "\n"))
}

// process is a job as a process of its own.
func (n *node) process(j job) *exec.Cmd {
	n.t.Helper()
	j.NetNS = n.Path
	text, err := json.Marshal(j)
	if err != nil {
		n.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), work+"="+string(text))
	return cmd
}

func (n *node) run(j job) {
	n.t.Helper()
	if out, err := n.process(j).CombinedOutput(); err != nil {
		n.t.Fatalf("%v: %s", err, out)
	}
}

// recover is what comes after a death: the next process, whatever it is started for, finds each fix whole or not there; then all fixes are made or, from where they
// are, all are undone; and at last everything is as it was.
func (n *node) recover(what, dir string, forward bool) {
	n.t.Helper()
	n.run(job{Dir: dir}) // it only opens the journal
	entries, warnings, err := repair.History(dir)
	if err != nil {
		n.t.Fatalf("%s: %v", what, err)
	}
	for _, w := range warnings {
		n.t.Logf("%s: %s", what, w)
	}
	for _, e := range entries {
		n.whole(what, e)
	}
	if forward {
		n.run(job{Dir: dir, Fixes: n.fixes})
		if diff := n.diff(n.after); diff != "" {
			n.t.Errorf("%s: with all fixes (-want +got):\n%s", what, diff)
		}
	}
	n.run(job{Dir: dir, Undo: true})
	if diff := n.diff(n.before); diff != "" {
		n.t.Fatalf("%s: after the undo (-before +now):\n%s", what, diff)
	}
}

// whole says that of the fix all values are there, or none.
func (n *node) whole(what string, e repair.Entry) {
	n.t.Helper()
	if e.State != repair.Verified && e.State != repair.Undone {
		n.t.Errorf("%s: fix %d is %s (%s)", what, e.ID, e.State, e.Reason)
	}
	for _, s := range e.Steps {
		want := s.Change.From
		if e.State == repair.Verified {
			want = s.Change.To
		}
		if got, err := n.host.Get(n.host.Node(), s.Change); err != nil || !fix.SameValue(s.Change.Knob, got, want) {
			n.t.Errorf("%s: fix %d is %s, but %s is %q, %v; want %q", what, e.ID, e.State, s.Change.Knob, got, err, want)
		}
	}
}

// TestKillAtEveryStep kills at each operation on the journal and the kernel, in front of it and behind it.
func TestKillAtEveryStep(t *testing.T) {
	for _, undo := range []bool{false, true} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("undo %v, after %v", undo, after), func(t *testing.T) {
				t.Parallel()
				n := newNode(t)
				at := 1
				for ; ; at++ {
					dir := filepath.Join(t.TempDir(), "journal")
					if undo {
						n.run(job{Dir: dir, Fixes: n.fixes})
					}
					cmd := n.process(job{Dir: dir, Fixes: n.fixes, Undo: undo, Die: at, After: after})
					if err := cmd.Run(); err == nil {
						n.recover("no death", dir, false)
						break
					}
					n.recover(fmt.Sprintf("death at operation %d", at), dir, at%2 == 0)
				}
				t.Logf("%d operations", at-1)
				if at < 15 {
					t.Errorf("%d operations; there are more than that", at-1)
				}
			})
		}
	}
}

// moments is how many random ones are tried.
func moments() int {
	if testing.Short() {
		return 20
	}
	return 500
}

// TestKillAtRandomMoments kills from outside, at any instruction, also while a program that netmend has started is at work.
func TestKillAtRandomMoments(t *testing.T) {
	const workers = 2
	for worker := range workers {
		t.Run(fmt.Sprint(worker), func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			want, died, took := moments()/workers, 0, n.took
			for i := 0; died < want && i < 4*want; i++ {
				dir := filepath.Join(t.TempDir(), "journal")
				undo := i%2 == 1
				if undo {
					n.run(job{Dir: dir, Fixes: n.fixes})
				}
				cmd := n.process(job{Dir: dir, Fixes: n.fixes, Undo: undo})
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				delay := time.Duration(rand.Int64N(int64(took)))
				time.Sleep(delay)
				cmd.Process.Kill() // it may have ended
				// How long a process works depends on what else the machine does, so the moments follow it.
				if err := cmd.Wait(); err != nil {
					died++
					took += took / 50
				} else {
					took -= took / 10
				}
				n.recover(fmt.Sprintf("moment %d, death after %s (undo %v)", i, delay, undo), dir, i%4 < 2)
			}
			t.Logf("%d died", died)
			if died < want {
				t.Errorf("only %d died; want %d", died, want)
			}
		})
	}
}
