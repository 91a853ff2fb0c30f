package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// Compare waits, at most that long, until a node, which the arguments name to netmendctl, holds exactly what its cluster wants in a mode of kube-proxy: at least so
// many ways, hardly any of them in doubt. An audit then finds nothing. A kube-proxy that has missed its node's zone is restarted.
func (c *Cluster) Compare(mode string, least int, limit time.Duration, restart func(), node ...string) {
	c.t.Helper()
	file, taken := c.Services(), filepath.Join(c.t.TempDir(), "node.json")
	var s *facts.Snapshot
	var w *services.Wanted
	unzoned := time.Now() // since when it is as if the node had no zone
	WaitFor(c.t, limit, mode+" mode to hold what is wanted", func() (bool, string) {
		asked := time.Now()
		out, err := Netmendctl(append([]string{"snapshot", "--services", file, "-f", taken}, node...)...).CombinedOutput()
		if err != nil {
			c.t.Fatalf("snapshot: %v: %s", err, out)
		}
		if s, err = decodeSnapshot(taken); err != nil {
			c.t.Fatalf("%v", err)
		}
		if why, missing := s.Missing[facts.KindServiceRules]; missing {
			return false, why
		}
		o := services.OptionsOf(s)
		w = services.Want(s.Intent.Cluster, o)
		list := services.Compare(w, s.ServiceRules)
		if left, zone := services.WithoutZone(s.Intent.Cluster, o, s.ServiceRules, list); len(left) > 0 || len(zone) == 0 {
			unzoned = asked
		} else if time.Since(unzoned) > limit/10 { // one that has just begun may hear of it yet
			c.t.Logf("%s mode: kube-proxy has missed its node's zone: %d ways are as without hints", mode, len(zone))
			restart()
			unzoned = time.Now()
		}
		if len(list) > 0 {
			time.Sleep(min(time.Since(asked), 10*time.Second)) // kube-proxy needs the processor too
		}
		return len(list) == 0 && s.ServiceRules.Mode == mode, differences(list)
	})
	doubts := 0
	for i := range w.Rules.Paths {
		if w.Doubt(i) != "" {
			doubts++
		}
	}
	for _, p := range s.ServiceRules.Paths {
		if p.Unknown != "" {
			c.t.Errorf("%s mode: a way of %s is not understood: %s", mode, p.Name, p.Unknown)
		}
	}
	if s.Proxy.Config == nil {
		c.t.Errorf("%s mode: kube-proxy did not tell its configuration", mode)
	}
	if len(w.Rules.Paths) < least || doubts*20 > len(w.Rules.Paths) {
		c.t.Errorf("%s mode: %d ways are wanted, %d of them in doubt", mode, len(w.Rules.Paths), doubts)
	}
	if d := cmp.Diff(w.Rules.NodePorts, s.ServiceRules.NodePorts, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		c.t.Errorf("%s mode: where node ports are served (-want +held):\n%s", mode, d)
	}
	c.t.Logf("%s mode: %d ways, %d in doubt, held %d", mode, len(w.Rules.Paths), doubts, len(s.ServiceRules.Paths))
	r := Audit(c.t, append([]string{"--services", file, "--check", "service-rules-missing,service-rules-stale,ipvs-dead-backends,ipvs-dummy-addresses"}, node...)...)
	if len(r.Findings) > 0 {
		c.t.Errorf("%s mode: findings where all is equal\n%s", mode, r.Describe())
	}
}

func decodeSnapshot(name string) (*facts.Snapshot, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return facts.Decode(f)
}

// differences writes the first of them.
func differences(list []services.Difference) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d differences\n", len(list))
	for _, d := range list[:min(len(list), 10)] {
		fmt.Fprintf(&b, "  want %s\n  held %s\n  missing %v extra %v fields %v\n", way(d.Want), way(d.Held), d.Missing, d.Extra, d.Fields)
	}
	return b.String()
}

func way(p *facts.ServicePath) string {
	if p == nil {
		return "nothing"
	}
	words := []string{p.Kind, p.Name, p.VIP.String(), fmt.Sprint(p.Port), p.Protocol, p.Scope, p.Verdict, p.Masquerade.String(), fmt.Sprint(p.Affinity), fmt.Sprint(p.Sources), fmt.Sprint(p.Backends)}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}
