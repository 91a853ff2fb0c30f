//go:build linux

package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const chainPlugin = "#!/bin/sh\n" + `echo '{"cniVersion":"1.1.0","supportedVersions":["0.3.1","1.0.0","1.1.0"]}'` + "\n"

const chainConf = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel"
    }
  ]
}
`

// chainNode is a root with one CNI configuration, and a plugin to install.
func chainNode(t *testing.T) (root, conf string) {
	t.Helper()
	root = t.TempDir()
	conf = filepath.Join(root, "etc/cni/net.d/10-flannel.conflist")
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{conf: chainConf, filepath.Join(root, "plugin"): chainPlugin} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root, conf
}

func runChain(t *testing.T, want int, args ...string) (out, err string) {
	t.Helper()
	e := newTestEnv(t, args...)
	if got := run(context.Background(), e.env); got != want {
		t.Errorf("%v: exit %d; want %d: %s%s", args, got, want, e.out.String(), e.err.String())
	}
	return e.out.String(), e.err.String()
}

func TestInstallCommand(t *testing.T) {
	root, conf := chainNode(t)
	read := func() string {
		data, err := os.ReadFile(conf)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	binary := filepath.Join(root, "opt/cni/bin/netmend")
	there := func() bool { _, err := os.Stat(binary); return err == nil }
	with := []string{"--root", root, "--plugin", filepath.Join(root, "plugin")}

	plan, _ := runChain(t, 0, append([]string{"install", "--dry-run"}, with...)...)
	want := "would copy " + root + "/plugin to " + binary + "\nwould write " + conf + "\n    --- " + conf + "\n    +++ " + conf + "\n" +
		"    @@ -4,6 +4,9 @@\n       \"plugins\": [\n         {\n           \"type\": \"flannel\"\n    +    },\n    +    {\n    +      \"type\": \"netmend\"\n         }\n       ]\n     }\n" +
		"Chain of " + conf + " (network cbr0): flannel, netmend\n"
	if plan != want {
		t.Errorf("the plan is\n%s\nwant\n%s", plan, want)
	}
	if read() != chainConf || there() {
		t.Error("a dry run changes something")
	}
	runChain(t, 0, append([]string{"install"}, with...)...)
	installed := read()
	if !strings.Contains(installed, "netmend") || !there() {
		t.Errorf("installed: %s, program there: %v", installed, there())
	}
	out, _ := runChain(t, 0, append([]string{"install", "-o", "json"}, with...)...)
	var d chainDocument
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Kind != "InstallReport" || len(d.Steps) != 0 || len(d.Chain) != 2 {
		t.Errorf("a second install says %s, %v", out, err)
	}
	out, _ = runChain(t, 0, "uninstall", "--dry-run", "-o", "json", "--root", root)
	d = chainDocument{}
	if err := json.Unmarshal([]byte(out), &d); err != nil || !d.DryRun || len(d.Steps) != 2 || !strings.Contains(d.Steps[0].Diff, `-      "type": "netmend"`) || read() != installed {
		t.Errorf("a dry run of uninstall says %s, %v", out, err)
	}
	half := filepath.Join(filepath.Dir(conf), "99-half.conflist")
	if err := os.WriteFile(half, []byte(`{"type":"netmend"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ = runChain(t, 1, "uninstall", "--root", root); !strings.Contains(out, "The program stays: ") || read() != chainConf || !there() {
		t.Errorf("uninstall beside a half file says %s", out)
	}
	if err := os.Remove(half); err != nil {
		t.Fatal(err)
	}
	runChain(t, 0, "uninstall", "--root", root)
	if there() {
		t.Error("the program is left")
	}
	if out, _ = runChain(t, 0, "uninstall", "--root", root); out != "The plugin is in no chain, and its program is not here.\n" {
		t.Errorf("a second uninstall says %s", out)
	}
}

func TestInstallErrors(t *testing.T) {
	root, conf := chainNode(t)
	plugin := filepath.Join(root, "plugin")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no plugin", []string{"install", "--root", root, "--plugin", "/nowhere"}, "give the plugin's program with --plugin"},
		{"format", []string{"install", "--root", root, "--plugin", plugin, "-o", "xml"}, "one of text, json"},
		{"argument", []string{"uninstall", "x"}, "unexpected argument"},
		{"no configuration", []string{"install", "--root", root, "--plugin", plugin, "--conf-dir", "/etc/none"}, "install the pod network first, then run this again"},
		{"no plugin's program", []string{"install", "--root", root, "--plugin", conf}, "give a CNI plugin"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := runChain(t, 2, tt.args...); !strings.Contains(err, tt.want) || strings.Count(err, "\n") != 1 {
				t.Errorf("it says %q; want one line with %q", err, tt.want)
			}
		})
	}
}

// TestDiff has git apply what diff shows.
func TestDiff(t *testing.T) {
	for _, tt := range []struct{ name, before, after string }{
		{"insertion", "a\nb\nc\nd\ne\nf\ng\nh\n", "a\nb\nc\nd\nX\ne\nf\ng\nh\n"},
		{"at the end, without a newline", "a\nb", "a\nb\nc"},
		{"all", "a\n", "b\n"},
		{"repeated lines", "{\n}\n", "{\n},\n{\n}\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
				t.Fatal(err)
			}
			git := exec.Command("git", "apply", "--unidiff-zero", "-")
			git.Dir, git.Stdin = dir, strings.NewReader(diff("a/f", []byte(tt.before), []byte(tt.after)))
			git.Env = append(os.Environ(), "GIT_DIR=/nonexistent")
			if out, err := git.CombinedOutput(); err != nil {
				t.Fatalf("git apply: %v: %s", err, out)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != tt.after {
				t.Errorf("applied it gives %q, %v; want %q", got, err, tt.after)
			}
		})
	}
	if got := diff("f", []byte("a\n"), []byte("a\n")); got != "" {
		t.Errorf("of equal files the diff is %q", got)
	}
}
