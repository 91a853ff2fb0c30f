package repair_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

// written makes a journal of one fix that was undone and one in force, and gives the kernel as it was before.
func written(t *testing.T) (*ward, map[fix.Knob]map[string]string) {
	t.Helper()
	w := newWard(t)
	before := w.kernel.Copy()
	m := w.open()
	ctx := context.Background()
	for range 2 {
		if _, err := m.Apply(ctx, w.three()); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Undo(ctx, len(m.Entries())); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Apply(ctx, w.three()); err != nil {
		t.Fatal(err)
	}
	return w, before
}

func (w *ward) with(data []byte) *ward {
	c := *w
	c.store = repair.NewFakeStore(bytes.Clone(data))
	c.kernel = &repair.Fake{Boot: w.kernel.Boot, NetNS: w.kernel.NetNS, Links: w.kernel.Links, Values: w.kernel.Copy()}
	return &c
}

// TestJournalCutAtEveryByte is the power cut: of the last record any part may be missing, and nothing else.
func TestJournalCutAtEveryByte(t *testing.T) {
	w, before := written(t)
	whole := w.store.Data
	last := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1
	for n := last; n <= len(whole); n++ {
		c := w.with(whole[:n])
		m := c.open()
		if n > last && n < len(whole) && len(m.Warnings()) != 1 {
			t.Errorf("cut at byte %d: warnings %q; want one", n-last, m.Warnings())
		}
		if got := m.Entries(); len(got) != 3 || got[2].State != repair.Verified {
			t.Errorf("cut at byte %d: Entries() = %+v; want three, the last verified", n-last, got)
		}
		if _, err := m.UndoAll(context.Background()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, c.kernel.Copy()); diff != "" {
			t.Errorf("cut at byte %d: after the undo (-want +got):\n%s", n-last, diff)
		}
		if m := c.open(); len(m.Warnings()) != 0 {
			t.Errorf("cut at byte %d: the next process still says %q", n-last, m.Warnings())
		}
	}
}

// TestJournalDamagedAtEveryByte flips one byte of each record but the last fix's beginning: everything else stays known.
func TestJournalDamagedAtEveryByte(t *testing.T) {
	w, before := written(t)
	whole := w.store.Data
	begin := bytes.LastIndex(whole, []byte(`"entry":`))
	for n := range whole[:bytes.LastIndexByte(whole[:begin], '\n')] {
		data := bytes.Clone(whole)
		data[n] ^= 0x15
		c := w.with(data)
		m := c.open()
		if len(m.Warnings()) == 0 {
			t.Errorf("damage at byte %d: no warning", n)
		}
		if _, err := m.UndoAll(context.Background()); err != nil {
			t.Errorf("damage at byte %d: UndoAll() = %v", n, err)
		}
		if diff := cmp.Diff(before, c.kernel.Copy()); diff != "" {
			t.Fatalf("damage at byte %d: after the undo (-want +got):\n%s", n, diff)
		}
	}
}

func TestJournalOfANewerProgramIsNotTouched(t *testing.T) {
	w, _ := written(t)
	line := `{"at":"2026-01-02T03:04:05Z","id":9,"future":true}`
	w.store.Data = append(w.store.Data, fmt.Sprintf("2 %08x %s\n", repair.Checksum("2", line), line)...)
	kept := bytes.Clone(w.store.Data)
	if _, err := repair.Open(context.Background(), repair.Options{Kernel: w.kernel, Store: w.store}); !errors.Is(err, repair.ErrNewer) {
		t.Errorf("Open() = %v; want ErrNewer", err)
	}
	if !bytes.Equal(kept, w.store.Data) {
		t.Error("Open() changed the journal")
	}
}

// TestCompaction fills the journal and looks whether what is in force is still known with what was before.
func TestCompaction(t *testing.T) {
	w := newWard(t)
	before := w.kernel.Copy()
	ctx := context.Background()
	m := w.open()
	if _, err := m.Apply(ctx, proposal(w.change(fix.LinkMTU, "veth0", "1500", "1450"))); err != nil {
		t.Fatal(err)
	}
	other := proposal(w.change(ports, "", "32768 60999", "1024 60999"))
	other.Message = strings.Repeat("x", 100)
	other.Fix.Cost = strings.Repeat("it costs much; ", 100)
	for range 1500 {
		if _, err := m.Apply(ctx, other); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Undo(ctx, m.Entries()[len(m.Entries())-1].ID); err != nil {
			t.Fatal(err)
		}
		w.clock.T = w.clock.T.Add(30 * time.Minute)
	}
	long := len(w.store.Data)
	w.clock.T = w.clock.T.Add(25 * 24 * time.Hour)
	m = w.open()
	if len(w.store.Data) > long/2 {
		t.Errorf("the journal has %d bytes, %d before", len(w.store.Data), long)
	}
	entries := m.Entries()
	if first := entries[0]; first.ID != 1 || first.State != repair.Verified || first.Steps[0].Change.From != "1500" {
		t.Errorf("the first fix is %+v; want fix 1 in force with 1500", first)
	}
	if last := entries[len(entries)-1]; last.ID != 1501 {
		t.Errorf("the last fix is %d; want 1501, so that no number is given twice", last.ID)
	}
	if got := w.open().Entries(); !cmp.Equal(entries, got) {
		t.Error("the compacted journal reads differently")
	}
	if _, err := w.open().UndoAll(ctx); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, w.kernel.Copy()); diff != "" {
		t.Errorf("after the undo (-want +got):\n%s", diff)
	}
}

func FuzzJournal(f *testing.F) {
	w := newWard(&testing.T{})
	m, err := repair.Open(context.Background(), repair.Options{Kernel: w.kernel, Store: w.store, Now: w.clock.Now})
	if err != nil {
		f.Fatal(err)
	}
	if _, err := m.Apply(context.Background(), w.three()); err != nil {
		f.Fatal(err)
	}
	f.Add(w.store.Data)
	f.Add([]byte("1 00000000 {}\n"))
	for _, line := range []string{`{"id":1,"mark":5}`, `{"id":1,"left":{"-1":"x"}}`, `{"id":1,"entry":{"id":1,"steps":[{}],"state":"undoing"}}`} {
		f.Add(append(bytes.Clone(w.store.Data), fmt.Sprintf("1 %08x %s\n", repair.Checksum("1", line), line)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := newWard(t)
		c.store = repair.NewFakeStore(data)
		m, err := repair.Open(context.Background(), repair.Options{Kernel: c.kernel, Store: c.store, Now: c.clock.Now})
		if err != nil {
			return
		}
		if _, err := m.Apply(context.Background(), proposal(c.change(probing, "", c.value(probing, ""), "1"))); err != nil {
			return
		}
		if got := len(c.open().Entries()); got == 0 {
			t.Error("the fix is not in the journal that it was written to")
		}
	})
}
