package cniconf

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/containernetworking/cni/libcni"
	"github.com/google/go-cmp/cmp"
)

// fakePlugin answers what installation asks of a plugin.
const fakePlugin = "#!/bin/sh\n" + `echo '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}'` + "\n"

// node is a root directory with CNI files.
type node struct {
	t            *testing.T
	root, plugin string
	conf         string // the configuration directory
	before       map[string]string
}

// newNode makes a node with files of testdata, or of other text.
func newNode(t *testing.T, names ...string) *node {
	t.Helper()
	n := &node{t: t, root: t.TempDir()}
	n.conf, n.plugin = filepath.Join(n.root, DefaultConfDir), filepath.Join(n.root, "netmend-plugin")
	for _, dir := range []string{n.conf, filepath.Join(n.root, DefaultBinDir)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	n.file(n.plugin, fakePlugin, 0o755)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		n.write(name, string(data))
	}
	n.before = n.files()
	return n
}

func (n *node) file(path, text string, mode fs.FileMode) {
	n.t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) write(name, text string) { n.file(filepath.Join(n.conf, name), text, 0o640) }

func (n *node) binary() string { return filepath.Join(n.root, DefaultBinDir, "netmend") }

// files are all of the configuration directory with their bytes and modes.
func (n *node) files() map[string]string {
	n.t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(n.conf)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(n.conf, e.Name()))
		if err != nil {
			n.t.Fatal(err)
		}
		info, err := e.Info()
		if err != nil {
			n.t.Fatal(err)
		}
		all[e.Name()] = info.Mode().String() + " " + string(data)
	}
	return all
}

func (n *node) keeper() *Keeper {
	n.t.Helper()
	k, err := New(Options{Root: n.root, Plugin: n.plugin, Who: "test", Wait: 5 * time.Second})
	if err != nil {
		n.t.Fatal(err)
	}
	return k
}

func (n *node) install() *Outcome {
	n.t.Helper()
	o, err := n.keeper().Install(context.Background())
	if err != nil {
		n.t.Fatalf("Install: %v", err)
	}
	return o
}

func (n *node) uninstall() *Outcome {
	n.t.Helper()
	o, err := n.keeper().Uninstall(context.Background())
	if err != nil {
		n.t.Fatalf("Uninstall: %v", err)
	}
	return o
}

// runtime is the chain that a container runtime loads: the first file in order, read by libcni.
func (n *node) runtime() (file string, chain []string) {
	n.t.Helper()
	names, err := libcni.ConfFiles(n.conf, []string{".conf", ".conflist", ".json"})
	if err != nil || len(names) == 0 {
		n.t.Fatalf("no configuration: %v", err)
	}
	sort.Strings(names)
	for _, name := range names {
		if list, err := loadAsRuntime(name); err == nil {
			return filepath.Base(name), types(list)
		}
	}
	n.t.Fatal("no configuration can be used")
	return "", nil
}

func loadAsRuntime(name string) (*libcni.NetworkConfigList, error) {
	if filepath.Ext(name) == ".conflist" {
		return libcni.NetworkConfFromFile(name)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return readAsRuntime(data)
}

// readAsRuntime reads a file that holds one plugin as containerd and CRI-O do.
func readAsRuntime(data []byte) (*libcni.NetworkConfigList, error) {
	single, err := libcni.NetworkPluginConfFromBytes(data)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 runtimes use it as long as they read such files
	return libcni.ConfListFromConf(single)
}

// sound holds at every moment: the chain is the one that was there, with or without netmend, and no file names a program that is missing.
func (n *node) sound(what string, chain []string) {
	n.t.Helper()
	file, got := n.runtime()
	if without := slices.DeleteFunc(slices.Clone(got), func(s string) bool { return s == "netmend" }); !slices.Equal(without, chain) {
		n.t.Errorf("%s: %s has the chain %v; want %v", what, file, got, chain)
	}
	if at := slices.Index(got, "netmend"); at >= 0 && at != len(got)-1 {
		n.t.Errorf("%s: netmend is not last in %v", what, got)
	}
	for name, text := range n.files() {
		if !slices.Contains(suffixes(), filepath.Ext(name)) || !bytes.Contains([]byte(text), []byte(`"netmend"`)) {
			continue
		}
		info, err := os.Stat(n.binary())
		if err != nil || info.Mode().Perm() != 0o755 {
			n.t.Errorf("%s: %s names netmend, whose program is missing: %v", what, name, err)
			continue
		}
		if data, err := os.ReadFile(n.binary()); err != nil || string(data) != fakePlugin {
			n.t.Errorf("%s: %s names netmend, whose program is not whole: %v", what, name, err)
		}
	}
}

// restored says that nothing of netmend is left.
func (n *node) restored(what string) {
	n.t.Helper()
	if diff := cmp.Diff(n.before, n.files()); diff != "" {
		n.t.Errorf("%s: the configuration (-before +after):\n%s", what, diff)
	}
	if exists(n.binary()) {
		n.t.Errorf("%s: the program is still there", what)
	}
	for _, dir := range []string{filepath.Join(n.root, DefaultBinDir), filepath.Join(n.root, DefaultStateDir)} {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if e.Name() != "lock" {
				n.t.Errorf("%s: %s is left in %s", what, e.Name(), dir)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			n.t.Error(err)
		}
	}
}
