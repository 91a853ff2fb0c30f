package inside

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
	"github.com/netmend/netmend/test/e2e/lab"
)

// TestModuleKnob loads br_netfilter and unloads it again. In the first namespace of a kernel with modules, that is all there is to see: the module, its sysctls
// and the file that loads it at boot.
func TestModuleKnob(t *testing.T) {
	shell := func(script string) string {
		t.Helper()
		out, err := lab.Shell(script)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	shell("modprobe bridge; if [ -e /sys/module/br_netfilter ]; then modprobe -r br_netfilter; fi")
	state := func() string {
		return shell("cut -d' ' -f1 /proc/modules | sort; find /proc/sys/net/bridge /etc/modules-load.d /etc/sysctl.d -type f 2>/dev/null | sort; grep -rsH . /proc/sys/net/bridge || true")
	}
	h, err := host.Open(host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if !h.Booted() {
		t.Error("Booted() = false in the first process's namespace")
	}
	m, err := repair.Open(context.Background(), repair.Options{Kernel: repair.HostKernel(h), Dir: t.TempDir(), Boot: repair.BootDir("/")})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	before := state()
	p := fix.Proposal{Check: "bridge-nf-call", Fix: fix.Fix{Title: "load br_netfilter", Changes: []fix.Change{{Knob: fix.Module("br_netfilter"), From: fix.Absent, To: fix.Loaded}}}}
	e, err := m.Apply(context.Background(), p)
	if err != nil || e.State != repair.Verified || len(e.Warnings) != 0 {
		t.Fatalf("Apply() = %s %q, %v; want verified", e.State, e.Warnings, err)
	}
	loaded := state()
	for _, want := range []string{"br_netfilter\n", "/proc/sys/net/bridge/bridge-nf-call-iptables:1\n", "/etc/modules-load.d/netmend.conf\n"} {
		if !strings.Contains(loaded, want) {
			t.Errorf("after the fix there is no %q in\n%s", want, loaded)
		}
	}
	if text, err := os.ReadFile("/etc/modules-load.d/netmend.conf"); err != nil || !strings.Contains(string(text), "\nbr_netfilter\n") {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if _, err := m.Undo(context.Background(), e.ID); err != nil {
		t.Fatal(err)
	}
	if now := state(); now != before {
		t.Errorf("after the undo there is\n%s\nwant\n%s", now, before)
	}
	for _, name := range []string{"no_such_module", "../x"} {
		c := fix.Change{Knob: fix.Module(name), From: fix.Absent, To: fix.Loaded}
		if err := h.Set(h.Node(), c); err == nil {
			t.Errorf("Set(%s) succeeds", name)
		}
	}
}
