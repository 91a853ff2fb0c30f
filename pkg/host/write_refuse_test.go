package host_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/host/iptrules"
)

func TestSetRefuses(t *testing.T) {
	b := newBench(t, "ip link add eth0 type veth peer name p0")
	on := b.ref("eth0")
	for _, tt := range []struct {
		name   string
		change fix.Change
	}{
		{"unknown knob", fix.Change{Knob: "link-speed", On: on, To: "1"}},
		{"out of /proc/sys/net", fix.Change{Knob: fix.Sysctl("net/../kernel/core_pattern"), To: "|x"}},
		{"two lines", fix.Change{Knob: fix.Sysctl("net/ipv4/tcp_mtu_probing"), To: "1\n2"}},
		{"value the kernel refuses", fix.Change{Knob: fix.Sysctl("net/ipv4/tcp_mtu_probing"), To: "x"}},
		{"MTU that kills IPv6", fix.Change{Knob: fix.LinkMTU, On: on, To: "1279"}},
		{"no number", fix.Change{Knob: fix.LinkMTU, On: on, To: "big"}},
		{"fixed feature", fix.Change{Knob: fix.Ethtool("rx-gro-hw"), On: on, To: "on"}},
		{"unknown feature", fix.Change{Knob: fix.Ethtool("x"), On: on, To: "on"}},
		{"no bridge port", fix.Change{Knob: fix.Hairpin, On: on, To: "on"}},
		{"module without a knob", fix.Change{Knob: fix.Module("dummy"), To: "loaded"}},
		{"unknown rule", fix.Change{Knob: "rule:x", To: "present"}},
		{"relative directory", fix.Change{Knob: "ipam:etc:10.0.0.1", To: "absent"}},
		{"unclean directory", fix.Change{Knob: "ipam:/etc/../etc:10.0.0.1", To: "absent"}},
		{"no address", fix.Change{Knob: "ipam:/etc:passwd", To: "absent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := b.state()
			if err := b.host.SetWith(b.host.Node(), tt.change, iptrules.Write); err == nil {
				t.Errorf("Set(%v) succeeds", tt.change)
			}
			if b.state() != before {
				t.Errorf("Set(%v) changed the namespace", tt.change)
			}
		})
	}
}

func TestSysctlIsNotReachedThroughALink(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"proc/sys/net/ipv4", "proc/sys/elsewhere"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "proc/sys/elsewhere/x"), []byte("0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../elsewhere", filepath.Join(root, "proc/sys/net/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../elsewhere/x", filepath.Join(root, "proc/sys/net/ipv4/x")); err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(host.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for _, path := range []string{"net/link/x", "net/ipv4/x"} {
		if err := h.Set(h.Node(), fix.Change{Knob: fix.Sysctl(path), To: "1"}); err == nil {
			t.Errorf("Set() of %s followed a symbolic link", path)
		}
	}
}

func TestModuleSaysWhatIsMissing(t *testing.T) {
	b := newBench(t)
	c := fix.Change{Knob: fix.Module("br_netfilter"), On: b.node(), From: "absent", To: "loaded"}
	if got, err := b.host.Get(b.host.Node(), c); err != nil || got != fix.Loaded {
		t.Errorf("Get() = %q, %v; want loaded, because it is built in", got, err)
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "proc"), 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(host.Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if got, err := h.Get(h.Node(), c); err != nil || got != fix.Absent {
		t.Errorf("Get() = %q, %v; want absent", got, err)
	}
	if err := h.Set(h.Node(), c); err == nil || !strings.Contains(err.Error(), "modprobe") {
		t.Errorf("Set() where there is no modprobe = %v; want an error that names it", err)
	}
}
