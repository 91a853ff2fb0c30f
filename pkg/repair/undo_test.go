package repair_test

import (
	"context"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

func TestUndoLeavesAloneWhatIsNotOurs(t *testing.T) {
	w := newWard(t)
	m := w.open()
	if _, err := m.Apply(context.Background(), w.three()); err != nil {
		t.Fatal(err)
	}
	w.kernel.Values[ports][""] = "2000\t3000"
	e, err := m.Undo(context.Background(), 1)
	if err != nil || e.State != repair.Undone || !strings.Contains(e.Steps[1].Left, "2000") {
		t.Errorf("Undo() = %+v, %v; want undone with a remark on the range", e, err)
	}
	if got := w.value(ports, ""); got != "2000\t3000" {
		t.Errorf("the range is %q; want what somebody else has set", got)
	}
	if got := w.value(offload, "flannel.1"); got != "on" {
		t.Errorf("the offload is %q; want on", got)
	}
}

func TestUndoInOrder(t *testing.T) {
	w := newWard(t)
	m := w.open()
	for _, p := range []fix.Proposal{proposal(w.change(fix.LinkMTU, "veth0", "1500", "1450")), proposal(w.change(fix.LinkMTU, "veth0", "1450", "1400"))} {
		if _, err := m.Apply(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.Undo(context.Background(), 1); err == nil || !strings.Contains(err.Error(), "fix 2") {
		t.Errorf("Undo(1) = %v; want that fix 2 is in the way", err)
	}
	if undone, err := m.UndoAll(context.Background()); err != nil || len(undone) != 2 || w.value(fix.LinkMTU, "veth0") != "1500" {
		t.Errorf("UndoAll() = %d, %v and %s; want 2 and 1500", len(undone), err, w.value(fix.LinkMTU, "veth0"))
	}
}

func TestUndoRestoresWhatTheWriteHasReset(t *testing.T) {
	for _, tt := range []struct {
		name      string
		meanwhile string // of accept_redirects, after the fix; empty: nothing
		want      string
	}{
		{"untouched", "", "0"},
		{"set by somebody else to what the write makes of it", "1", "1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWard(t)
			w.kernel.Values[lo][""] = "1"
			m := w.open()
			if _, err := m.Apply(context.Background(), proposal(w.change(forward, "", "0", "1"))); err != nil {
				t.Fatal(err)
			}
			if tt.meanwhile != "" {
				w.kernel.Values[redirects][""] = tt.meanwhile
			}
			if _, err := m.Undo(context.Background(), 1); err != nil {
				t.Fatal(err)
			}
			if got := w.value(redirects, ""); got != tt.want {
				t.Errorf("accept_redirects is %s; want %s", got, tt.want)
			}
			if got := w.value(lo, ""); got != "1" {
				t.Errorf("forwarding of lo is %s; want 1, as before the fix", got)
			}
		})
	}
}
