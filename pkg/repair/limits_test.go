package repair_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

// TestFightIsLeft lets somebody set the value back a tenth of a second after each write, for a minute in which a daemon tries once a second.
func TestFightIsLeft(t *testing.T) {
	w := newWard(t)
	w.watch = time.Second
	ctx := context.Background()
	p := proposal(w.change(probing, "", "0", "1"), w.change(fix.LinkMTU, "veth0", "1500", "1450"))
	var set time.Time
	w.kernel.Fail = func(op string, s repair.Step) error {
		switch {
		case s.Change.Knob != probing:
		case op == "set":
			set = w.clock.T
		case w.clock.T.Sub(set) >= 100*time.Millisecond:
			w.kernel.Values[probing][""] = "0"
		}
		return nil
	}
	var last error
	for range 60 {
		m := w.open()
		if _, err := m.Look(ctx); err != nil {
			t.Fatal(err)
		}
		_, last = m.Apply(ctx, p)
		w.clock.T = w.clock.T.Add(time.Second)
	}
	if !errors.Is(last, repair.ErrContested) {
		t.Errorf("the last Apply() = %v; want ErrContested", last)
	}
	if w.kernel.Sets > 8 { // two fixes of two writes, and their undoing
		t.Errorf("%d writes; want at most 8", w.kernel.Sets)
	}
	entries := w.open().Entries()
	if len(entries) != 2 || entries[1].State != repair.Contested {
		t.Fatalf("Entries() = %+v; want two, the last contested", entries)
	}
	if got := w.value(fix.LinkMTU, "veth0"); got != "1500" {
		t.Errorf("the other value of the fix is %s; want 1500: all or nothing", got)
	}
	w.kernel.Fail = nil
	m := w.open()
	if _, err := m.Undo(ctx, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Apply(ctx, p); err != nil {
		t.Errorf("Apply() after the ban was lifted = %v", err)
	}
}

func TestContestedSaysByWhom(t *testing.T) {
	w := newWard(t)
	ctx := context.Background()
	p := proposal(w.change(probing, "", "0", "1"))
	m, err := repair.Open(ctx, repair.Options{
		Kernel: w.kernel, Store: w.store, Now: w.clock.Now, Suspects: func(fix.Change) string { return "/etc/sysctl.conf:3 sets it" },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := m.Apply(ctx, p); err != nil {
			t.Fatal(err)
		}
		w.kernel.Values[probing][""] = "0"
	}
	ended, err := m.Look(ctx)
	if err != nil || len(ended) != 1 || ended[0].State != repair.Contested || !strings.Contains(ended[0].Reason, "/etc/sysctl.conf:3 sets it") {
		t.Errorf("Look() = %+v, %v; want a contested fix that names the file", ended, err)
	}
}

func TestTwoSetBacksOnDifferentDaysAreNoFight(t *testing.T) {
	w := newWard(t)
	ctx := context.Background()
	m := w.open()
	for range 4 {
		if _, err := m.Apply(ctx, proposal(w.change(probing, "", "0", "1"))); err != nil {
			t.Fatal(err)
		}
		w.kernel.Values[probing][""] = "0"
		w.clock.T = w.clock.T.Add(2 * time.Hour)
	}
}

func TestBudget(t *testing.T) {
	w := newWard(t)
	ctx := context.Background()
	m := w.open()
	p := proposal(w.change(probing, "", "0", "1"))
	for range repair.MaxApplications {
		if _, err := m.Apply(ctx, p); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Undo(ctx, m.Entries()[len(m.Entries())-1].ID); err != nil {
			t.Fatal(err)
		}
		w.clock.T = w.clock.T.Add(time.Minute)
	}
	if _, err := m.Apply(ctx, p); !errors.Is(err, repair.ErrBudget) {
		t.Errorf("Apply() for the fourth time = %v; want ErrBudget", err)
	}
	if _, err := m.Apply(ctx, proposal(w.change(fix.LinkMTU, "veth0", "1500", "1450"))); err != nil {
		t.Errorf("Apply() of something else = %v", err)
	}
	w.clock.T = w.clock.T.Add(time.Hour)
	if _, err := m.Apply(ctx, p); err != nil {
		t.Errorf("Apply() an hour later = %v", err)
	}
}

func TestReboot(t *testing.T) {
	for _, tt := range []struct {
		name   string
		boot   repair.BootFiles // nil: nothing outlives it
		loaded bool             // the boot has set the value again
		want   repair.State     // after it
		undone string           // the value after an undo
	}{
		{"nothing lasts", nil, false, repair.Gone, "0"},
		{"the file sets it again", repair.BootDir(""), true, repair.Verified, "0"},
		{"another file sets it back", repair.BootDir(""), false, repair.Gone, "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t)
			if tt.boot != nil {
				w.boot = repair.BootDir(t.TempDir())
			}
			ctx := context.Background()
			if _, err := w.open().Apply(ctx, proposal(w.change(probing, "", "0", "1"))); err != nil {
				t.Fatal(err)
			}
			w.kernel.Boot, w.kernel.NetNS = "boot-2", 33
			if !tt.loaded {
				w.kernel.Values[probing][""] = "0"
			}
			m := w.open()
			if _, err := m.Look(ctx); err != nil {
				t.Fatal(err)
			}
			if got := m.Entries()[0]; got.State != tt.want {
				t.Errorf("after the boot the fix is %s (%s); want %s", got.State, got.Reason, tt.want)
			}
			if _, err := m.UndoAll(ctx); err != nil {
				t.Fatal(err)
			}
			if got := w.value(probing, ""); got != tt.undone {
				t.Errorf("after the undo the value is %s; want %s", got, tt.undone)
			}
		})
	}
}

func TestLaterFixHasTheLastWord(t *testing.T) {
	w := newWard(t)
	ctx := context.Background()
	m := w.open()
	for _, p := range []fix.Proposal{proposal(w.change(fix.LinkMTU, "veth0", "1500", "1450")), proposal(w.change(fix.LinkMTU, "veth0", "1450", "1400"))} {
		if _, err := m.Apply(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	if ended, err := m.Look(ctx); err != nil || len(ended) != 0 {
		t.Errorf("Look() = %+v, %v; want nothing ended", ended, err)
	}
	if _, err := m.Undo(ctx, 2); err != nil {
		t.Fatal(err)
	}
	w.kernel.Values[fix.LinkMTU]["veth0"] = "9000"
	ended, err := m.Look(ctx)
	if err != nil || len(ended) != 1 || ended[0].State != repair.Undone || ended[0].SetBack == nil {
		t.Errorf("Look() = %+v, %v; want fix 1 set back", ended, err)
	}
	if diff := cmp.Diff("9000", w.value(fix.LinkMTU, "veth0")); diff != "" {
		t.Errorf("what somebody else has set (-want +got):\n%s", diff)
	}
}

func TestRemovedDevice(t *testing.T) {
	w := newWard(t)
	ctx := context.Background()
	m := w.open()
	if _, err := m.Apply(ctx, w.three()); err != nil {
		t.Fatal(err)
	}
	w.kernel.Links["flannel.1"] = 70
	ended, err := m.Look(ctx)
	if err != nil || len(ended) != 1 || ended[0].State != repair.Gone {
		t.Fatalf("Look() = %+v, %v; want the fix gone", ended, err)
	}
	if got := w.value(offload, "flannel.1"); got != "off" {
		t.Errorf("the new device's offload is %q; want it left alone", got)
	}
	if got := w.value(ports, ""); got != "32768\t60999" {
		t.Errorf("the range is %q; want what was before: all or nothing", got)
	}
}
