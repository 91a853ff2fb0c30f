package repair_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/repair"
)

const bridge = fix.Knob("sysctl:net/bridge/bridge-nf-call-iptables")

func TestBootFiles(t *testing.T) {
	w := newWard(t)
	dir := repair.BootDir(t.TempDir())
	w.boot = dir
	w.kernel.Values[bridge] = map[string]string{"": "0"}
	foreign := "# by hand\nnet.core.somaxconn = 1024\n"
	path := dir.Path(repair.SysctlFile)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(foreign), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	m := w.open()
	for _, p := range []fix.Proposal{
		proposal(w.change(probing, "", "0", "1")), proposal(w.change(bridge, "", "0", "1")), proposal(w.change(offload, "flannel.1", "on", "off")),
	} {
		if e, err := m.Apply(ctx, p); err != nil || len(e.Warnings) != 0 {
			t.Fatalf("Apply() = %v, %v", e.Warnings, err)
		}
	}
	head := "# Written by netmend. \"netmendctl undo\" takes a line out again, and the one above it.\n"
	check := func(f repair.BootFile, want string) {
		t.Helper()
		got, err := os.ReadFile(dir.Path(f))
		if want == "" {
			if !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s holds %q, %v; want no file", dir.Path(f), got, err)
			}
			return
		}
		if string(got) != want {
			t.Errorf("%s holds\n%s\nwant\n%s", dir.Path(f), got, want)
		}
	}
	one, two := "# netmend fix 1\nnet/ipv4/tcp_mtu_probing = 1\n", "# netmend fix 2\nnet/bridge/bridge-nf-call-iptables = 1\n"
	check(repair.SysctlFile, head+one+two+foreign)
	check(repair.ModuleFile, head+"# netmend fix 2\nbr_netfilter\n")
	check(repair.UdevFile, "")
	if _, err := m.Undo(ctx, 1); err != nil {
		t.Fatal(err)
	}
	check(repair.SysctlFile, head+two+foreign)
	if _, err := m.UndoAll(ctx); err != nil {
		t.Fatal(err)
	}
	check(repair.SysctlFile, foreign)
	check(repair.ModuleFile, "")
}

func TestUdevRule(t *testing.T) {
	w := newWard(t)
	dir := repair.BootDir(t.TempDir())
	ctx := context.Background()
	open := func() *repair.Mender {
		m, err := repair.Open(ctx, repair.Options{Kernel: w.kernel, Store: w.store, Now: w.clock.Now, Boot: dir, Udev: true})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open()
	if _, err := m.Apply(ctx, proposal(w.change(offload, "flannel.1", "on", "off"))); err != nil {
		t.Fatal(err)
	}
	rule, err := os.ReadFile(dir.Path(repair.UdevFile))
	if err != nil || !strings.Contains(string(rule), `ENV{INTERFACE}=="flannel.1", RUN+="/bin/sh -c 'exec ethtool -K flannel.1 tx-checksum-ip-generic off'"`) {
		t.Errorf("the rule is %q, %v", rule, err)
	}
	w.kernel.Links["flannel.1"], w.kernel.Boot = 70, "boot-2" // udev has set it on the new device
	if ended, err := m.Look(ctx); err != nil || len(ended) != 0 {
		t.Errorf("Look() = %+v, %v; want the fix in force on the new device", ended, err)
	}
	if _, err := open().UndoAll(ctx); err != nil {
		t.Fatal(err)
	}
	if got := w.value(offload, "flannel.1"); got != "on" {
		t.Errorf("the offload is %q; want on", got)
	}
	if _, err := os.Stat(dir.Path(repair.UdevFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the rule's file is still there: %v", err)
	}
}

func TestBootFilesThatCannotBeWritten(t *testing.T) {
	w := newWard(t)
	file := filepath.Join(t.TempDir(), "no-directory")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.boot = repair.BootDir(file)
	m := w.open()
	if _, err := m.Apply(context.Background(), proposal(w.change(probing, "", "0", "1"))); err != nil {
		t.Fatalf("Apply() = %v; want the fix without its file", err)
	}
	if e := m.Entries()[0]; e.Steps[0].Persist || len(e.Warnings) != 1 {
		t.Errorf("the fix says %+v; want a warning, and that it does not last", e)
	}
}
