package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/pkg/status"
)

// TestUnread cannot read the node at first, then can, then cannot again.
func TestUnread(t *testing.T) {
	n := newFakeNode()
	n.err = errors.New("netlink is refused")
	run(t, n, config.Fix, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		d := after(a, 25*time.Second)
		if got := says(d, status.NodeRead); d.Ready || !strings.Contains(got, "netlink is refused") {
			t.Errorf("ready %t, %s", d.Ready, got)
		}
		n.change(func(*repair.Fake) { n.err = nil })
		if d := after(a, 11*time.Second); !d.Ready || says(d, status.NodeRead) != "true " || len(d.Findings) > 0 {
			t.Errorf("ready %t, %s, %+v", d.Ready, says(d, status.NodeRead), d.Findings)
		}
		n.change(func(k *repair.Fake) {
			n.err = errors.New("netlink is refused")
			k.Values[offload]["flannel.1"] = "on"
		}, linkEvent(7))
		if got := says(after(a, time.Second), status.NodeRead); !strings.Contains(got, "netlink is refused") {
			t.Errorf("later: %s", got)
		}
		n.change(func(*repair.Fake) { n.err = nil })
		if d := after(a, time.Minute); n.value(offload, "flannel.1") != "off" || says(d, status.NodeRead) != "true " {
			t.Errorf("the event is lost: %s", says(d, status.NodeRead))
		}
	})
}

// TestDeaf looks by time where the kernel does not tell.
func TestDeaf(t *testing.T) {
	n := newFakeNode()
	n.deaf = "links: operation not permitted"
	run(t, n, config.Audit, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		d := after(a, time.Second)
		if got := says(d, status.KernelEvents); got != "false links: operation not permitted; the node is looked at every 10s instead" {
			t.Errorf("condition: %s", got)
		}
		n.change(func(k *repair.Fake) { k.Values[offload]["geneve1"] = "on" })
		if d := after(a, 13*time.Second); len(d.Findings) != 2 {
			t.Errorf("findings: %+v", d.Findings)
		}
	})
}

// TestConfigure switches to fix, and ignores an object.
func TestConfigure(t *testing.T) {
	n := newFakeNode()
	n.kernel.Values[offload]["geneve1"] = "on"
	run(t, n, config.Audit, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		after(a, time.Minute)
		c := config.Default()
		c.Mode, c.KeepChain, c.Checks = config.Fix, false, map[string]config.Check{"tunnel-test": {Ignore: []string{"geneve*"}}}
		a.Configure(c)
		d := after(a, 15*time.Second)
		if n.value(offload, "flannel.1") != "off" || n.value(offload, "geneve1") != "on" {
			t.Errorf("flannel.1 is %s, geneve1 %s; want the latter ignored", n.value(offload, "flannel.1"), n.value(offload, "geneve1"))
		}
		if f := found(d, "tunnel-test"); f == nil || !f.Ignored || d.State != status.Proven || d.Mode != "fix" {
			t.Errorf("%s, %s, %+v; want a proven node with an ignored finding", d.State, d.Mode, f)
		}
	})
}

// TestJournalDisk makes the journal's directory a file: nothing is mended, all is said, and later all is mended.
func TestJournalDisk(t *testing.T) {
	n := newFakeNode()
	run(t, n, config.Fix, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		after(a, time.Second)
		dir := filepath.Join(a.o.Root, journalDir)
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		n.change(anew(100), linkEvent(100))
		d := after(a, 30*time.Second)
		if got := says(d, status.Journal); !strings.HasPrefix(got, "false fixes cannot be written down, so none is made") {
			t.Errorf("condition: %s", got)
		}
		if found(d, "tunnel-test") == nil || n.value(offload, "flannel.1") != "on" {
			t.Errorf("findings %+v, offload %s", d.Findings, n.value(offload, "flannel.1"))
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if d := after(a, 30*time.Second); says(d, status.Journal) != "true " || n.value(offload, "flannel.1") != "off" {
			t.Errorf("%s, offload %s", says(d, status.Journal), n.value(offload, "flannel.1"))
		}
	})
}

// TestMany is told of more findings than anybody can read.
func TestMany(t *testing.T) {
	n := newFakeNode()
	for i := range 20_000 {
		n.s.Host.Links = append(n.s.Host.Links, facts.Link{Index: 1000 + i, Name: fmt.Sprintf("x%d", i), Tunnel: &facts.Tunnel{}, Features: map[string]facts.Feature{facts.FeatureTxChecksum: {On: true}}})
	}
	run(t, n, config.Audit, []*check.Check{tunnels()}, func(t *testing.T, a *Agent) {
		d := after(a, time.Minute)
		if len(d.Findings) != maxHeld || len(d.Skipped) != 1 || d.Skipped[0].Reason != "18001 more findings are not listed" {
			t.Errorf("%d findings, skipped %+v", len(d.Findings), d.Skipped)
		}
		n.change(func(*repair.Fake) { n.s.Host.Links = nil }, linkEvent(1000))
		if d := after(a, 10*time.Second); len(d.Findings) != 1 || len(d.Resolved) > maxOver {
			t.Errorf("%d findings, %d resolved", len(d.Findings), len(d.Resolved))
		}
	})
}
