package repair_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

// dying counts the operations on the kernel and the journal and dies at one of them, before it has done anything or after it has done all.
type dying struct {
	ops, at int
	after   bool
}

type died struct{}

func (d *dying) op(do func()) {
	d.ops++
	if d.ops == d.at && !d.after {
		panic(died{})
	}
	do()
	if d.ops == d.at {
		panic(died{})
	}
}

// until runs fn and says whether it came to its end.
func until(fn func()) (ended bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(died); !ok {
				panic(r)
			}
		}
	}()
	fn()
	return true
}

type dyingKernel struct {
	*repair.Fake
	d *dying
}

func (k dyingKernel) Set(s repair.Step, from, to string) (err error) {
	k.d.op(func() { err = k.Fake.Set(s, from, to) })
	return err
}

type dyingStore struct {
	*repair.FakeStore
	d *dying
}

func (s dyingStore) Append(data []byte) (err error) {
	s.d.op(func() { err = s.FakeStore.Append(data) })
	return err
}

func (w *ward) dying(d *dying) *repair.Mender {
	m, err := repair.Open(context.Background(), repair.Options{
		Kernel: dyingKernel{w.kernel, d}, Store: dyingStore{w.store, d}, Who: "test", Now: w.clock.Now, Sleep: w.clock.Sleep,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// TestDeathAtEveryStep kills a process at every operation of making two fixes, of undoing them, and of settling what a first death left, in front of the
// operation and behind it. Whoever comes next finds each fix whole or not there, and what was before always comes back.
func TestDeathAtEveryStep(t *testing.T) {
	ctx := context.Background()
	forwarding := func(w *ward) fix.Proposal { return proposal(w.change(forward, "", "0", "1")) }
	work := map[string]func(*ward, *repair.Mender){
		"fix": func(w *ward, m *repair.Mender) {
			for _, p := range []fix.Proposal{w.three(), forwarding(w)} {
				if _, err := m.Apply(ctx, p); err != nil {
					w.t.Fatal(err)
				}
			}
		},
		"undo": func(w *ward, m *repair.Mender) {
			if _, err := m.UndoAll(ctx); err != nil {
				w.t.Fatal(err)
			}
		},
	}
	for _, name := range []string{"fix", "undo"} {
		for _, after := range []bool{false, true} {
			for at := 1; ; at++ {
				ended := false
				for again := 1; ; again++ { // the next process dies too, while it settles
					w := newWard(t)
					w.kernel.Values[lo][""] = "1"
					before := w.kernel.Copy()
					if name == "undo" {
						work["fix"](w, w.open())
					}
					d := &dying{at: at, after: after}
					ended = until(func() { work[name](w, w.dying(d)) })
					settled := until(func() { w.dying(&dying{at: again, after: after}) })
					what := fmt.Sprintf("%s, death at operation %d and, settling, at %d (after it: %v)", name, at, again, after)
					w.wholeOrNothing(what)
					if _, err := w.open().UndoAll(ctx); err != nil {
						t.Errorf("%s: UndoAll() = %v", what, err)
					}
					if diff := cmp.Diff(before, w.kernel.Copy()); diff != "" {
						t.Errorf("%s: after the undo (-want +got):\n%s", what, diff)
					}
					if settled {
						break
					}
				}
				if ended {
					if at < 10 {
						t.Errorf("%s has only %d operations", name, at)
					}
					break
				}
			}
		}
	}
}

// wholeOrNothing opens the journal as the next process does and compares each fix with the kernel.
func (w *ward) wholeOrNothing(what string) {
	w.t.Helper()
	for _, e := range w.open().Entries() {
		for _, s := range e.Steps {
			want := s.Change.From
			if e.State == repair.Verified {
				want = s.Change.To
			} else if e.State != repair.Undone {
				w.t.Errorf("%s: fix %d is %s", what, e.ID, e.State)
			}
			if got := w.kernel.Values[s.Change.Knob][keyOf(s)]; !fix.SameValue(s.Change.Knob, got, want) {
				w.t.Errorf("%s: fix %d is %s, but %s is %q; want %q", what, e.ID, e.State, s.Change.Knob, got, want)
			}
		}
	}
}
