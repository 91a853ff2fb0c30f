//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/config"
)

// call runs the program and gives its exit code and what it wrote.
func call(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	code = run(t.Context(), &env{args: args, out: &b, err: &b, getenv: func(string) string { return "" }, hup: make(chan os.Signal)})
	return code, b.String()
}

// TestCommandLine calls it in every way in which it does not begin.
func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	head := "apiVersion: netmend.io/v1alpha1\nkind: NetmendConfiguration\n"
	good, bad := write("good.yaml", head+"http: {listen: off}\n"), write("etc/netmend/netmend.yaml", head+"mode: mend\n")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"version", []string{"--version"}, exitFine, "netmendd v"},
		{"help", []string{"--help"}, exitFine, "--check-config"},
		{"a right file", []string{"--check-config", "--config", good}, exitFine, ""},
		{"no file", []string{"--check-config", "--root", filepath.Join(dir, "none")}, exitFine, ""},
		{"a wrong file", []string{"--check-config", "--config", bad}, exitFailed, "mode"},
		{"a wrong file below the root", []string{"--root", dir}, exitFailed, "mode"},
		{"a wrong mode", []string{"--mode", "mend", "--config", good}, exitFailed, `--mode "mend": it is audit or fix`},
		{"a wrong node", []string{"--node-name", "Node 1", "--config", good}, exitFailed, `--node-name: "Node 1" is not a node's name`},
		{"an argument", []string{"fix"}, exitFailed, `unexpected argument "fix"`},
		{"a flag", []string{"--fix"}, exitFailed, "unknown flag"},
		{"no node there", []string{"--config", good, "--root", dir, "--socket", filepath.Join(dir, "s"), "--node-state", filepath.Join(dir, "n")}, exitFailed, "open root"},
	} {
		code, out := call(t, c.args...)
		if code != c.code || !strings.Contains(out, c.want) || c.want == "" && out != "" {
			t.Errorf("%s: %d %q; want %d and %q", c.name, code, out, c.code, c.want)
		}
	}
}

// TestNodeName holds who is heard before whom.
func TestNodeName(t *testing.T) {
	for _, c := range []struct{ flag, conf, env, want string }{
		{"a", "b", "c", "a"}, {"", "b", "c", "b"}, {"", "", "c", "c"}, {"", "", "", ""},
	} {
		f := &flags{nodeName: c.flag, envNodeName: c.env}
		got, err := f.apply(&config.Config{Kubernetes: config.Kubernetes{Node: c.conf}})
		if err != nil || got.Kubernetes.Node != c.want {
			t.Errorf("flag %q, configuration %q, environment %q: %v, %v; want %q", c.flag, c.conf, c.env, got, err, c.want)
		}
	}
	if _, err := (&flags{envNodeName: "a/b"}).apply(&config.Config{}); err == nil {
		t.Error("$NODE_NAME that is no name is taken")
	}
}

// TestBelowRoot prefixes the configuration's paths, and not those that were given.
func TestBelowRoot(t *testing.T) {
	f := &flags{root: "/host"}
	if got, want := f.settings(&config.Config{Socket: "/run/a"}).Socket, "/host/run/a"; got != want {
		t.Errorf("socket %s; want %s", got, want)
	}
	if got := f.settings(&config.Config{}).Socket; got != "" {
		t.Errorf("a socket that is off is %s", got)
	}
	if got, want := f.configPath(), "/host/etc/netmend/netmend.yaml"; got != want {
		t.Errorf("configuration %s; want %s", got, want)
	}
	f.socket, f.config, f.nodeState = "/tmp/s", "/tmp/c", "/tmp/n"
	if s, c, n := f.settings(&config.Config{Socket: "/run/a"}).Socket, f.configPath(), f.nodeStatePath(); s != "/tmp/s" || c != "/tmp/c" || n != "/tmp/n" {
		t.Errorf("%s, %s, %s; want what was given", s, c, n)
	}
}
