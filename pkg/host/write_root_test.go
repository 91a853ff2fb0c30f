package host_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/host/iptrules"
)

// TestRulesBelowRoot writes rules as netmendd does in an image that has no program, with those below --root, of either backend.
func TestRulesBelowRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "host")
	if err := os.Symlink("/", root); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, setup, show, want string }{
		{"nft", "/usr/sbin/iptables-nft -P FORWARD DROP", "/usr/sbin/iptables-nft -S", "10.244.0.0/16"},
		{"legacy", "/usr/sbin/iptables-legacy -P FORWARD DROP", "/usr/sbin/iptables-legacy -S", "10.244.0.0/16"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.setup)
			h, err := host.Open(host.Options{NetNS: "/run/netns/" + b.name, Root: root})
			if err != nil {
				t.Fatal(err)
			}
			defer h.Close()
			before := b.sh(tt.show)
			c := fix.Change{Knob: fix.RuleForwardAccept(netip.MustParsePrefix("10.244.0.0/16")), On: b.node(), From: fix.Absent, To: fix.Present}
			if err := h.SetWith(h.Node(), c, iptrules.Write); err != nil {
				t.Fatal(err)
			}
			if got := b.sh(tt.show); !strings.Contains(got, tt.want) {
				t.Errorf("no rule for %s:\n%s", tt.want, got)
			}
			c.From, c.To = c.To, c.From
			if err := h.SetWith(h.Node(), c, iptrules.Write); err != nil {
				t.Fatal(err)
			}
			if got := b.sh(tt.show); got != before {
				t.Errorf("after the undo:\n%swant\n%s", got, before)
			}
		})
	}
}
