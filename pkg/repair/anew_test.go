package repair_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/repair"
)

// TestAnew makes a device anew, again and again: for whoever says that each is another one, each is mended.
func TestAnew(t *testing.T) {
	for _, c := range []struct {
		name string
		anew bool
		made int
	}{
		{"counted", false, repair.MaxApplications},
		{"each is another", true, 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWard(t)
			made := 0
			var last error
			for i := range 10 {
				w.kernel.Links["flannel.1"], w.kernel.Values[offload]["flannel.1"] = 100+i, "on"
				m, err := repair.Open(context.Background(), repair.Options{Kernel: w.kernel, Store: w.store, Now: w.clock.Now, Anew: c.anew})
				if err != nil {
					t.Fatal(err)
				}
				if _, last = m.Apply(context.Background(), proposal(w.change(offload, "flannel.1", "on", "off"))); last == nil {
					made++
				}
				w.clock.T = w.clock.T.Add(time.Second)
			}
			if made != c.made {
				t.Errorf("%d of 10 were mended; want %d", made, c.made)
			}
			if !c.anew && !errors.Is(last, repair.ErrBudget) {
				t.Errorf("the last Apply() = %v; want ErrBudget", last)
			}
		})
	}
}

// TestEarlier opens a journal again, alone and after somebody else has written to it.
func TestEarlier(t *testing.T) {
	ctx, kernel, dir := context.Background(), newWard(t).kernel, t.TempDir()
	w := &ward{kernel: kernel}
	open := func(earlier *repair.Mender) *repair.Mender {
		t.Helper()
		m, err := repair.Open(ctx, repair.Options{Kernel: kernel, Dir: dir, Earlier: earlier})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	apply := func(m *repair.Mender, link string) {
		t.Helper()
		if _, err := m.Apply(ctx, proposal(w.change(offload, link, "on", "off"))); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	first := open(nil)
	apply(first, "flannel.1")
	second := open(first)
	if got := len(second.Entries()); got != 1 {
		t.Fatalf("opened again: %d fixes; want 1", got)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	apply(open(nil), "veth0") // another process
	third := open(second)
	if got := len(third.Entries()); got != 2 {
		t.Errorf("opened after another process: %d fixes; want 2", got)
	}
	if _, err := third.Undo(ctx, 2); err != nil {
		t.Error(err)
	}
	if err := third.Close(); err != nil {
		t.Fatal(err)
	}
	entries, warnings, err := repair.History(dir)
	if err != nil || len(warnings) > 0 || len(entries) != 2 || entries[1].State != repair.Undone {
		t.Errorf("History() = %+v, %v, %v; want two, the last undone", entries, warnings, err)
	}
}
