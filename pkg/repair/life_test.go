package repair_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
)

const (
	forward   = fix.Knob("sysctl:net/ipv4/ip_forward")
	redirects = fix.Knob("sysctl:net/ipv4/conf/all/accept_redirects")
	lo        = fix.Knob("sysctl:net/ipv4/conf/lo/forwarding")
	ports     = fix.Knob("sysctl:net/ipv4/ip_local_port_range")
	probing   = fix.Knob("sysctl:net/ipv4/tcp_mtu_probing")
	offload   = fix.Knob("ethtool:" + facts.FeatureTxChecksum)
)

// ward is a node in memory with its journal.
type ward struct {
	t      *testing.T
	kernel *repair.Fake
	store  *repair.FakeStore
	clock  *repair.FakeClock
	boot   repair.BootFiles
	watch  time.Duration
}

func newWard(t *testing.T) *ward {
	return &ward{
		t: t, store: repair.NewFakeStore(nil), clock: &repair.FakeClock{T: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		kernel: &repair.Fake{
			Boot: "boot-1", NetNS: 1, Links: map[string]int{"flannel.1": 7, "veth0": 8},
			Values: map[fix.Knob]map[string]string{
				forward: {"": "0"}, redirects: {"": "0"}, lo: {"": "0"}, ports: {"": "32768\t60999"}, probing: {"": "0"},
				offload: {"flannel.1": "on", "veth0": "on"}, fix.LinkMTU: {"veth0": "1500"},
			},
		},
	}
}

func (w *ward) open() *repair.Mender {
	w.t.Helper()
	m, err := repair.Open(context.Background(), repair.Options{
		Kernel: w.kernel, Store: w.store, Who: "test", Now: w.clock.Now, Sleep: w.clock.Sleep, Boot: w.boot, Watch: w.watch,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *ward) change(knob fix.Knob, device, from, to string) fix.Change {
	return fix.Change{Knob: knob, On: w.kernel.Ref(device), From: from, To: to}
}

func proposal(changes ...fix.Change) fix.Proposal {
	return fix.Proposal{Check: "a-check", Fix: fix.Fix{Title: "mend it", Cost: "none", Changes: changes}}
}

// three is a fix of three kinds of knobs.
func (w *ward) three() fix.Proposal {
	return proposal(w.change(offload, "flannel.1", "on", "off"), w.change(ports, "", "32768 60999", "1024 60999"), w.change(fix.LinkMTU, "veth0", "1500", "1450"))
}

func (w *ward) value(knob fix.Knob, device string) string { return w.kernel.Values[knob][device] }

func TestLife(t *testing.T) {
	w := newWard(t)
	before := w.kernel.Copy()
	m := w.open()
	e, err := m.Apply(context.Background(), w.three())
	if err != nil || e.State != repair.Verified || e.ID != 1 {
		t.Fatalf("Apply() = fix %d %s, %v; want fix 1 verified", e.ID, e.State, err)
	}
	if got := w.value(ports, ""); got != "1024\t60999" {
		t.Errorf("the range is %q", got)
	}
	m = w.open() // another process
	if got := m.Entries(); len(got) != 1 || got[0].State != repair.Verified || got[0].Steps[0].Change.From != "on" {
		t.Errorf("Entries() = %+v; want the fix with what was before", got)
	}
	e, err = m.Undo(context.Background(), 1)
	if err != nil || e.State != repair.Undone {
		t.Errorf("Undo(1) = %s, %v; want undone", e.State, err)
	}
	if diff := cmp.Diff(before, w.kernel.Copy()); diff != "" {
		t.Errorf("after the undo (-want +got):\n%s", diff)
	}
	if _, err := m.Undo(context.Background(), 1); err == nil {
		t.Error("a second Undo(1) succeeds")
	}
	if _, err := m.Undo(context.Background(), 2); !errors.Is(err, repair.ErrNoFix) {
		t.Errorf("Undo(2) = %v; want ErrNoFix", err)
	}
}

func TestRefusedBeforeAnythingIsTouched(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(*ward)
		fix    func(*ward) fix.Proposal
		want   error
	}{
		{"advice", nil, func(*ward) fix.Proposal { return proposal() }, nil},
		{"a value that has changed since", func(w *ward) { w.kernel.Values[fix.LinkMTU]["veth0"] = "9000" }, (*ward).three, fix.ErrPrecondition},
		{"a device that is gone", func(w *ward) { delete(w.kernel.Links, "veth0") }, (*ward).three, host.ErrGone},
		{"a device made anew", func(w *ward) { w.kernel.Links["veth0"] = 99 }, func(w *ward) fix.Proposal {
			p := w.three()
			p.Fix.Changes[2].On.Index = 8
			return p
		}, host.ErrGone},
		{"another namespace", nil, func(w *ward) fix.Proposal {
			p := w.three()
			p.Fix.Changes[2].On.NetNS = 5
			return p
		}, host.ErrGone},
		{"a knob set twice", nil, func(w *ward) fix.Proposal {
			return proposal(w.change(fix.LinkMTU, "veth0", "1500", "1450"), w.change(fix.LinkMTU, "veth0", "1500", "1400"))
		}, nil},
		{"a full disk", func(w *ward) { w.store.Room = 10 }, (*ward).three, unix.ENOSPC},
		{"a read-only disk", func(w *ward) { w.store.ReadOnly = true }, (*ward).three, unix.EROFS},
		{"in force already", func(w *ward) {
			if _, err := w.open().Apply(context.Background(), w.three()); err != nil {
				w.t.Fatal(err)
			}
		}, (*ward).three, repair.ErrInForce},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t)
			p := tt.fix(w)
			if tt.before != nil {
				tt.before(w)
			}
			if tt.name == "a device that is gone" || tt.name == "a device made anew" {
				p.Fix.Changes[2].On = facts.Ref{NetNS: 1, Index: 8, Name: "veth0"}
			}
			before, sets, written := w.kernel.Copy(), w.kernel.Sets, len(w.store.Data)
			e, err := w.open().Apply(context.Background(), p)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Apply() = %v; want %v", err, tt.want)
			}
			if e.ID != 0 {
				t.Errorf("Apply() began fix %d", e.ID)
			}
			if diff := cmp.Diff(before, w.kernel.Copy()); diff != "" || w.kernel.Sets != sets {
				t.Errorf("%d writes and (-want +got):\n%s", w.kernel.Sets-sets, diff)
			}
			if len(w.store.Data) != written {
				t.Error("the journal was written")
			}
		})
	}
}

// TestFailureInTheMiddle makes each write of a fix fail, in each of the ways that the kernel or the disk has.
func TestFailureInTheMiddle(t *testing.T) {
	for at := range 3 {
		for _, tt := range []struct {
			name string
			set  func(w *ward, change fix.Change)
			want error
		}{
			{"EPERM", func(w *ward, c fix.Change) { w.kernel.Fail = failing("set", c, unix.EPERM) }, unix.EPERM},
			{"EROFS", func(w *ward, c fix.Change) { w.kernel.Fail = failing("set", c, unix.EROFS) }, unix.EROFS},
			{"gone", func(w *ward, c fix.Change) { w.kernel.Fail = failing("set", c, host.ErrGone) }, host.ErrGone},
			{"taken otherwise", func(w *ward, c fix.Change) { w.kernel.Takes = map[fix.Knob]string{c.Knob: "7"} }, host.ErrNotTaken},
		} {
			t.Run(tt.name, func(t *testing.T) {
				w := newWard(t)
				p := w.three()
				before := w.kernel.Copy()
				m := w.open()
				tt.set(w, p.Fix.Changes[at])
				if tt.name == "taken otherwise" {
					inner := w.kernel.Takes
					w.kernel.Fail = func(op string, s repair.Step) error {
						if op == "set" && w.kernel.Values[s.Change.Knob][keyOf(s)] == "7" {
							delete(inner, s.Change.Knob) // the old value it takes
						}
						return nil
					}
				}
				e, err := m.Apply(context.Background(), p)
				if !errors.Is(err, tt.want) || e.State != repair.Undone {
					t.Errorf("Apply() = %s, %v; want undone and %v", e.State, err, tt.want)
				}
				if diff := cmp.Diff(before, w.kernel.Copy()); diff != "" {
					t.Errorf("after the failure of step %d (-want +got):\n%s", at, diff)
				}
			})
		}
	}
}

func keyOf(s repair.Step) string {
	if family, _ := s.Change.Knob.Split(); family == fix.FamilySysctl {
		return ""
	}
	return s.Change.On.Name
}

func failing(op string, c fix.Change, err error) func(string, repair.Step) error {
	return func(o string, s repair.Step) error {
		if o == op && s.Change.Knob == c.Knob {
			return err
		}
		return nil
	}
}

// TestDiskFillsUp gives the journal room for one record more each time.
func TestDiskFillsUp(t *testing.T) {
	for room := range 6 {
		w := newWard(t)
		before := w.kernel.Copy()
		m := w.open()
		appends := 0
		w.kernel.Fail = func(string, repair.Step) error { return nil }
		w.store.Room = -1
		full := func() {
			if w.store.Appends >= room {
				w.store.Room = 0
			}
		}
		w.kernel.Fail = func(string, repair.Step) error { full(); return nil }
		full()
		e, err := m.Apply(context.Background(), w.three())
		if err == nil {
			appends = w.store.Appends
		}
		if err != nil && !errors.Is(err, unix.ENOSPC) {
			t.Errorf("room %d: Apply() = %v; want ENOSPC", room, err)
		}
		if err == nil != (e.State == repair.Verified) {
			t.Errorf("room %d: Apply() = %s, %v", room, e.State, err)
		}
		w.kernel.Fail, w.store.Room = nil, -1
		if _, err := w.open().UndoAll(context.Background()); err != nil {
			t.Errorf("room %d: UndoAll() = %v", room, err)
		}
		if diff := cmp.Diff(before, w.kernel.Copy()); diff != "" {
			t.Errorf("room %d, %d appends: after the undo (-want +got):\n%s", room, appends, diff)
		}
	}
}
