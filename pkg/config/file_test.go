package config_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/config"
)

// TestExample holds that the example is a configuration, and that what it says of itself is true: without its lists it is the default.
func TestExample(t *testing.T) {
	data, err := os.ReadFile("../../conf/netmend.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(data, suite(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Checks) != 3 || len(c.Intent.Services) != 1 || len(c.Intent.PodCIDRs) != 1 {
		t.Errorf("the example lacks something: %+v", c)
	}
	def := config.Default()
	def.Checks, def.Intent, def.Entry = c.Checks, c.Intent, c.Entry
	if c.Mode != def.Mode || c.Listen != def.Listen || c.Socket != def.Socket || c.KeepChain != def.KeepChain || c.FullAudit != def.FullAudit ||
		c.CounterWindow != def.CounterWindow || c.LogLevel != def.LogLevel || c.LogJSON != def.LogJSON {
		t.Errorf("the example says %+v; the default is %+v", c, def)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "netmend.yaml")
	f, err := config.Open(path, suite(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(config.Default(), f.Config()); d != "" {
		t.Errorf("without a file (-want +got):\n%s", d)
	}
	step := func(what, text string, changed bool, refused string, mode config.Mode) {
		t.Helper()
		if text == "" {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		} else {
			write(t, path, text)
		}
		got, err := f.Reload()
		if got != changed {
			t.Errorf("%s: changed %v; want %v", what, got, changed)
		}
		if (err == nil) != (refused == "") || err != nil && !strings.Contains(err.Error(), refused) || f.Refused() != err {
			t.Errorf("%s: %v, refused %v; want %q", what, err, f.Refused(), refused)
		}
		if f.Config().Mode != mode {
			t.Errorf("%s: mode %s; want %s", what, f.Config().Mode, mode)
		}
	}
	step("still no file", "", false, "", config.Audit)
	step("a file", head+"mode: fix", true, "", config.Fix)
	step("the same", head+"mode: fix", false, "", config.Fix)
	step("a bad one", head+"mode: fx", true, path+`: configuration: mode: "fx" is not one of audit, fix`, config.Fix)
	step("the same bad one", head+"mode: fx", false, "configuration: mode", config.Fix)
	step("another bad one", "x", true, "is not a mapping", config.Fix)
	step("the old one again", head+"mode: fix", true, "", config.Fix)
	step("another comment", "# 1\n"+head+"mode: fix", true, "", config.Fix)
	step("no file", "", true, "", config.Audit)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Reload(); err == nil || !strings.Contains(err.Error(), "it is no regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := config.Open(path, suite(t)); err == nil {
		t.Error("a directory is opened")
	}
}

// TestWatch changes the file in the ways in which editors, installers and Kubernetes do.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	etc := filepath.Join(dir, "etc")
	path := filepath.Join(etc, "netmend.yaml")
	f, err := config.Open(path, suite(t))
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan error, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Watch(ctx, func(err error) { heard <- err })
	}()
	defer func() { cancel(); <-ended }()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	until := func(what string, mode config.Mode, refused bool) {
		t.Helper()
		late := time.After(20 * time.Second)
		for f.Config().Mode != mode || (f.Refused() != nil) != refused {
			select {
			case <-heard:
			case <-late:
				t.Fatalf("%s: mode %s, refused: %v", what, f.Config().Mode, f.Refused())
			}
		}
	}
	fix, audit := head+"mode: fix\n", head+"mode: audit\n"
	must(os.Mkdir(etc, 0o755))
	write(t, path, fix)
	until("directory and file appear", config.Fix, false)
	write(t, path, audit)
	until("written in place", config.Audit, false)
	write(t, path+".new", fix)
	must(os.Rename(path+".new", path))
	until("replaced", config.Fix, false)
	write(t, path, "mode: audit")
	until("a bad one", config.Fix, true)
	write(t, path, audit)
	until("a good one", config.Audit, false)

	// As the kubelet's atomic writer: netmend.yaml -> ..data/netmend.yaml, ..data -> ..1
	for i, text := range []string{fix, audit} {
		must(os.Mkdir(filepath.Join(etc, ".."+string(rune('1'+i))), 0o755))
		write(t, filepath.Join(etc, ".."+string(rune('1'+i)), "netmend.yaml"), text)
	}
	must(os.Symlink("..1", filepath.Join(etc, "..data")))
	must(os.Remove(path))
	must(os.Symlink("..data/netmend.yaml", path))
	until("a link to a link", config.Fix, false)
	must(os.Symlink("..2", filepath.Join(etc, "..tmp")))
	must(os.Rename(filepath.Join(etc, "..tmp"), filepath.Join(etc, "..data")))
	until("the link is exchanged", config.Audit, false)

	elsewhere := filepath.Join(dir, "elsewhere")
	must(os.Mkdir(elsewhere, 0o755))
	write(t, filepath.Join(elsewhere, "x.yaml"), fix)
	must(os.Remove(path))
	must(os.Symlink(filepath.Join(elsewhere, "x.yaml"), path))
	until("a link out of the directory", config.Fix, false)
	write(t, filepath.Join(elsewhere, "x.yaml"), audit)
	until("written where the link leads", config.Audit, false)
	must(os.RemoveAll(etc))
	write(t, filepath.Join(elsewhere, "x.yaml"), fix)
	until("the directory is gone", config.Audit, false)
}
