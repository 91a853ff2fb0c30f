package agent

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/collect"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

const (
	nodeNS  = 1
	offload = fix.Knob("ethtool:" + facts.FeatureTxChecksum)
	probing = fix.Knob("sysctl:net/ipv4/tcp_mtu_probing")
)

// fakeNode is a node made of data, whose kernel is repair's.
type fakeNode struct {
	mu      sync.Mutex
	kernel  *repair.Fake
	s       facts.Snapshot // but for what the kernel has
	err     error          // of whatever is read
	changes chan host.Change
	deaf    string
	collect int
	update  []collect.UpdateOptions
	slow    time.Duration // that a reading of what is dear takes
}

func newFakeNode() *fakeNode {
	return &fakeNode{
		kernel: &repair.Fake{Boot: "b", NetNS: nodeNS, Links: map[string]int{"flannel.1": 7, "geneve1": 8}, Values: map[fix.Knob]map[string]string{
			offload: {"flannel.1": "on", "geneve1": "off"}, probing: {"": "0"},
		}},
	}
}

// truth is the node as it is now.
func (n *fakeNode) truth(kinds []facts.Kind) *facts.Snapshot {
	s := n.s
	s.Schema, s.Taken, s.Kinds, s.Node = facts.Schema, time.Now(), kinds, facts.Node{Name: "n", BootID: "b", Privileged: true}
	s.Host.Inode = nodeNS
	s.Host.Links = slices.Clone(s.Host.Links)
	for name, index := range n.kernel.Links {
		s.Host.Links = append(s.Host.Links, n.link(name, index))
	}
	slices.SortFunc(s.Host.Links, func(a, b facts.Link) int { return a.Index - b.Index })
	s.Host.Sysctls = map[string]string{"net/ipv4/tcp_mtu_probing": n.kernel.Values[probing][""]}
	return &s
}

func (n *fakeNode) link(name string, index int) facts.Link {
	return facts.Link{
		Index: index, Name: name, Kind: "vxlan", MTU: 1450, Up: true, Tunnel: &facts.Tunnel{ID: 1, Port: 8472},
		Features: map[string]facts.Feature{facts.FeatureTxChecksum: {On: n.kernel.Values[offload][name] == "on"}},
	}
}

func (n *fakeNode) Collect(ctx context.Context, kinds []facts.Kind, intent facts.Intent) (*facts.Snapshot, error) {
	if err := n.wait(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.collect++
	s := n.truth(kinds)
	s.Intent = intent
	return s, n.err
}

func (n *fakeNode) wait(ctx context.Context) error {
	n.mu.Lock()
	d := n.slow
	n.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (n *fakeNode) Update(ctx context.Context, prev *facts.Snapshot, o collect.UpdateOptions) (*facts.Snapshot, []facts.Kind, error) {
	if slices.ContainsFunc(o.Kinds, func(k facts.Kind) bool { return !quick(k) }) || o.Pods {
		if err := n.wait(ctx); err != nil {
			return nil, nil, err
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.update = append(n.update, o)
	if n.err != nil {
		return nil, nil, n.err
	}
	kinds := slices.Clone(o.Kinds)
	if o.Pods {
		kinds = append(kinds, facts.KindPods)
	}
	s := n.truth(prev.Kinds)
	s.Intent = o.Intent
	return collect.Merge(prev, s, kinds), nil, nil
}

func (n *fakeNode) Read(context.Context, *facts.Snapshot, collect.ReadOptions) (*collect.Reading, error) {
	return &collect.Reading{}, nil
}

func (n *fakeNode) Glance(indexes []int) (links []facts.Link, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, index := range n.kernel.Links {
		if slices.Contains(indexes, index) {
			links = append(links, n.link(name, index))
		}
	}
	return links, n.err
}

func (n *fakeNode) Watch(ctx context.Context, report func(host.Change)) error {
	report(host.Change{Lost: true, Cause: "start", Deaf: n.deaf})
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case c := <-n.changes:
			report(c)
		}
	}
}

func (n *fakeNode) Kernel() repair.Kernel { return lockedKernel{n} }
func (n *fakeNode) Writable() error       { return nil }
func (n *fakeNode) Close() error          { return nil }

// lockedKernel is the fake's kernel, which the test changes from outside.
type lockedKernel struct{ n *fakeNode }

func (k lockedKernel) BootID() string { return k.n.kernel.BootID() }

func (k lockedKernel) Prepare(c fix.Change) (repair.Step, error) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	return k.n.kernel.Prepare(c)
}

func (k lockedKernel) Get(s repair.Step) (string, error) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	return k.n.kernel.Get(s)
}

func (k lockedKernel) Set(s repair.Step, from, to string) error {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	return k.n.kernel.Set(s, from, to)
}

// change changes the node, and tells of it.
func (n *fakeNode) change(fn func(*repair.Fake), told ...host.Change) {
	n.mu.Lock()
	fn(n.kernel)
	n.mu.Unlock()
	for _, c := range told {
		n.changes <- c
	}
}

func (n *fakeNode) value(k fix.Knob, on string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kernel.Values[k][on]
}

// anew makes the tunnel anew, with the offload on.
func anew(index int) func(*repair.Fake) {
	return func(k *repair.Fake) { k.Links["flannel.1"], k.Values[offload]["flannel.1"] = index, "on" }
}

// tunnels finds tunnels whose offload is on.
func tunnels() *check.Check {
	return &check.Check{
		Name: "tunnel-test", Title: "t", Doc: "d", Since: "v0", Severity: check.Critical, Settle: 10 * time.Second,
		Needs: []facts.Kind{facts.KindTunnels, facts.KindFeatures},
		Run: func(s *facts.Snapshot) (out []check.Finding) {
			for i := range s.Host.Links {
				l := &s.Host.Links[i]
				if l.Tunnel == nil || !l.Features[facts.FeatureTxChecksum].On {
					continue
				}
				out = append(out, check.Finding{
					Severity: check.Critical, On: s.Host.Ref(l), Message: l.Name + " is on",
					Fixes: []fix.Fix{{Title: "switch it off", Cost: "c", Changes: []fix.Change{{Knob: offload, On: s.Host.Ref(l), From: "on", To: "off"}}}},
				})
			}
			return out
		},
	}
}

// sysctl finds a value that is 1.
func sysctl() *check.Check {
	return &check.Check{
		Name: "sysctl-test", Title: "t", Doc: "d", Since: "v0", Severity: check.Warning, Needs: []facts.Kind{facts.KindSysctls},
		Run: func(s *facts.Snapshot) []check.Finding {
			if s.Host.Sysctls["net/ipv4/tcp_mtu_probing"] != "1" {
				return nil
			}
			on := facts.Ref{NetNS: nodeNS, Name: "probing"}
			return []check.Finding{{Severity: check.Warning, On: on, Message: "it is 1", Fixes: []fix.Fix{
				{Title: "set it to 0", Cost: "c", Changes: []fix.Change{{Knob: probing, On: on, From: "1", To: "0"}}},
			}}}
		},
	}
}

// run runs the loop over a node in a bubble of its own time, and then the test; at the end the loop must end.
func run(t *testing.T, n *fakeNode, mode config.Mode, list []*check.Check, test func(t *testing.T, a *Agent)) {
	t.Helper()
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		n.changes = make(chan host.Change) // of the bubble
		suite, err := audit.New(list, func(check.Finding, fix.Fix) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		conf := config.Default()
		conf.Mode, conf.KeepChain = mode, false
		a, err := New(Options{Root: root, Config: conf, Suite: suite, Board: &serve.Board{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- newLoop(a, n).run(ctx) }()
		test(t, a)
		cancel()
		begun := time.Now()
		if err := <-ended; err != nil {
			t.Errorf("run() = %v", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the end took %s", took)
		}
		if s := a.Status(); s.State != status.Stopping {
			t.Errorf("at last the state is %s", s.State)
		}
	})
}

// after lets time pass and gives the document of then.
func after(a *Agent, d time.Duration) *status.Document {
	time.Sleep(d)
	synctest.Wait()
	return a.Status()
}

func found(d *status.Document, name string) *status.Finding {
	i := slices.IndexFunc(d.Findings, func(f status.Finding) bool { return f.Check == name })
	if i < 0 {
		return nil
	}
	return &d.Findings[i]
}

func says(d *status.Document, name string) string {
	for _, c := range d.Conditions {
		if c.Name == name {
			return fmt.Sprintf("%t %s", c.OK, c.Message)
		}
	}
	return "nothing"
}
