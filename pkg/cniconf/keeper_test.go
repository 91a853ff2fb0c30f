package cniconf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/nodefs"
)

func TestInstallAndUninstall(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		chain      []string
	}{
		{"10-flannel.conflist", "10-flannel.conflist", []string{"flannel", "portmap", "netmend"}},
		{"10-calico.conflist", "10-calico.conflist", []string{"calico", "portmap", "bandwidth", "netmend"}},
		{"05-cilium.conflist", "05-cilium.conflist", []string{"cilium-cni", "netmend"}},
		{"10-bridge.conf", "10-bridge.conflist", []string{"bridge", "netmend"}},
		{"00-multus.conf", "00-multus.conflist", []string{"multus-shim", "netmend"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := newNode(t, tt.name)
			was, err := loadAsRuntime(filepath.Join(n.conf, tt.name))
			if err != nil {
				t.Fatal(err)
			}
			plan, err := n.keeper().PlanInstall(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			n.restored("a plan")
			o := n.install()
			if diff := cmp.Diff(stepsOf(plan), stepsOf(o)); diff != "" {
				t.Errorf("what was done is not what was planned (-plan +done):\n%s", diff)
			}
			file, chain := n.runtime()
			if file != tt.file || !slices.Equal(chain, tt.chain) || !slices.Equal(o.Chain, tt.chain) || filepath.Base(o.File) != tt.file {
				t.Errorf("the runtime reads %s: %v; Install says %s: %v; want %s: %v", file, chain, o.File, o.Chain, tt.file, tt.chain)
			}
			now, err := loadAsRuntime(filepath.Join(n.conf, file))
			if err != nil {
				t.Fatal(err)
			}
			now.Plugins = now.Plugins[:len(now.Plugins)-1]
			if diff := sameList(was, now); diff != "" {
				t.Errorf("but for netmend libcni reads (-before +after):\n%s", diff)
			}
			info, err := os.Stat(filepath.Join(n.conf, file))
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("the mode of %s is %v, %v; want that of before, 0640", file, info.Mode(), err)
			}
			if again := n.install(); again.Changed() {
				t.Errorf("a second Install changes %v", stepsOf(again))
			}
			n.uninstall()
			n.restored("uninstalled")
			if again := n.uninstall(); again.Changed() {
				t.Errorf("a second Uninstall changes %v", stepsOf(again))
			}
		})
	}
}

func stepsOf(o *Outcome) (out []string) {
	for _, s := range o.Steps {
		out = append(out, fmt.Sprintf("%s %s %s %q", s.Op, s.Path, s.To, s.New))
	}
	return out
}

func TestOrder(t *testing.T) {
	const list = `{"name":"n","cniVersion":"1.0.0","plugins":[{"type":"a"}]}`
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string // the file with netmend in it
		warns string
	}{
		{"first of two", map[string]string{"20-b.conflist": list, "10-a.conflist": list}, "10-a.conflist", ""},
		{"capitals come first", map[string]string{"a.conflist": list, "Z.conflist": list}, "Z.conflist", ""},
		{"other suffixes do not count", map[string]string{"00.bak": list, "00.conflist.cilium_bak": list, "10-a.conflist": list}, "10-a.conflist", ""},
		{"an empty one in front", map[string]string{"05.conflist": "", "10-a.conflist": list}, "10-a.conflist", "05.conflist cannot be used"},
		{"a half one in front", map[string]string{"05.conflist": list[:30], "10-a.conflist": list}, "10-a.conflist", "05.conflist cannot be used"},
		{"a list that is named .conf", map[string]string{"05.conf": list, "10-a.conflist": list}, "10-a.conflist", "missing 'type'"},
		{"json", map[string]string{"10-a.json": `{"name":"n","type":"a"}`}, "10-a.conflist", ""},
		{"no version", map[string]string{"10-a.conflist": `{"name":"n","plugins":[{"type":"a"}]}`}, "10-a.conflist", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			for name, text := range tt.files {
				n.write(name, text)
			}
			n.before = n.files()
			o := n.install()
			if got := strings.Join(o.Warnings, "\n"); (tt.warns == "") != (got == "") || !strings.Contains(got, tt.warns) {
				t.Errorf("it warns %q; want %q", got, tt.warns)
			}
			if file, chain := n.runtime(); file != tt.want || chain[len(chain)-1] != "netmend" {
				t.Errorf("the runtime reads %s: %v; want %s with netmend", file, chain, tt.want)
			}
			n.uninstall()
			n.restored("uninstalled")
		})
	}
}

func TestRefusals(t *testing.T) {
	ctx := context.Background()
	t.Run("no directory", func(t *testing.T) {
		n := newNode(t)
		if err := os.Remove(n.conf); err != nil {
			t.Fatal(err)
		}
		if _, err := n.keeper().Install(ctx); !errors.Is(err, ErrNoConfig) || !strings.Contains(err.Error(), n.conf) {
			t.Errorf("Install = %v; want ErrNoConfig that names %s", err, n.conf)
		}
	})
	t.Run("a foreign list beside", func(t *testing.T) {
		n := newNode(t, "10-bridge.conf")
		n.write("10-bridge.conflist", `{"name":"n","plugins":[{"type":"a"}]}`)
		n.before = n.files()
		if _, err := n.keeper().Install(ctx); err == nil || !strings.Contains(err.Error(), "move one of them away") {
			t.Errorf("Install = %v; want advice", err)
		}
		n.restored("refused")
	})
	for name, plugin := range map[string]string{
		"no program": "hello", "empty": "", "another program": "#!/bin/sh\nexit 1\n",
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, "10-flannel.conflist")
			n.file(n.plugin, plugin, 0o755)
			if _, err := n.keeper().Install(ctx); err == nil {
				t.Error("Install works")
			}
			n.restored("refused")
		})
	}
	t.Run("a version that the plugin does not speak", func(t *testing.T) {
		n := newNode(t)
		n.write("10-a.conflist", `{"name":"n","cniVersion":"9.0.0","plugins":[{"type":"a"}]}`)
		n.before = n.files()
		if _, err := n.keeper().Install(ctx); err == nil || !strings.Contains(err.Error(), "does not speak CNI 9.0.0") {
			t.Errorf("Install = %v", err)
		}
		n.uninstall()
		n.restored("refused")
	})
	t.Run("locked", func(t *testing.T) {
		n := newNode(t, "10-flannel.conflist")
		lock, err := n.keeper().lock(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		k := n.keeper()
		k.o.Wait = 0
		if _, err := k.Install(ctx); !errors.Is(err, nodefs.ErrBusy) || !strings.Contains(err.Error(), "test (pid ") {
			t.Errorf("Install = %v; want ErrBusy that says who", err)
		}
	})
	t.Run("entry", func(t *testing.T) {
		if _, err := New(Options{Entry: json.RawMessage(`{"type":"x"}`)}); err == nil {
			t.Error("New takes an entry of another type")
		}
	})
}

// TestProgramIsKept where something may still need it.
func TestProgramIsKept(t *testing.T) {
	n := newNode(t, "10-flannel.conflist")
	n.install()
	n.write("20-half.conflist", `{"name":"n","plugins":[{"type":"netmend"`)
	if o := n.uninstall(); !strings.Contains(o.Kept, "20-half.conflist") || !exists(n.binary()) {
		t.Errorf("kept for a file that cannot be read: %q", o.Kept)
	}
	if err := os.Remove(filepath.Join(n.conf, "20-half.conflist")); err != nil {
		t.Fatal(err)
	}
	results := filepath.Join(n.root, resultsDir)
	if err := os.MkdirAll(results, 0o755); err != nil {
		t.Fatal(err)
	}
	cached, err := json.Marshal(map[string]any{"kind": "cniCacheV1", "config": []byte(`{"plugins":[{"type":"netmend"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	n.file(filepath.Join(results, "cbr0-x-eth0"), string(cached), 0o600)
	if o := n.uninstall(); !strings.Contains(o.Kept, "1 pods") || !exists(n.binary()) {
		t.Errorf("kept for a pod: %q", o.Kept)
	}
	socket, crio := filepath.Join(n.root, containerdSockets[0]), filepath.Join(n.root, crioDirs[0])
	for _, dir := range []string{filepath.Dir(socket), crio} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.file(socket, "", 0o600)
	if o := n.uninstall(); !strings.Contains(o.Kept, "1 pods") || !exists(n.binary()) {
		t.Errorf("kept for a pod where both runtimes are: %q", o.Kept)
	}
	if err := os.Remove(crio); err != nil {
		t.Fatal(err)
	}
	if o := n.uninstall(); o.Kept != "" || exists(n.binary()) {
		t.Errorf("kept for a pod of containerd: %q", o.Kept)
	}
	n.restored("uninstalled")
}

// TestSymbolicLinks stay links, and absolute ones do not lead out of the root.
func TestSymbolicLinks(t *testing.T) {
	n := newNode(t)
	real := filepath.Join(n.root, "real.json")
	n.file(real, `{"name":"n","plugins":[{"type":"a"}]}`, 0o644)
	link := filepath.Join(n.conf, "10-a.conflist")
	if err := os.Symlink("/real.json", link); err != nil {
		t.Fatal(err)
	}
	n.install()
	data, err := os.ReadFile(real)
	if err != nil || !strings.Contains(string(data), "netmend") {
		t.Errorf("the file behind the link: %s, %v; want netmend in it", data, err)
	}
	if got, err := os.Readlink(link); err != nil || got != "/real.json" {
		t.Errorf("the link: %q, %v", got, err)
	}
	n.uninstall()
	if data, err = os.ReadFile(real); err != nil || string(data) != `{"name":"n","plugins":[{"type":"a"}]}` {
		t.Errorf("after Uninstall the file is %s, %v", data, err)
	}
}
