package mend

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

const conflist = `{"name":"cbr0","cniVersion":"1.0.0","plugins":[{"type":"flannel"}]}`

// retire runs netmendctl retire for a node.
func retire(t *testing.T, n *lab.Node, args ...string) string {
	t.Helper()
	out, err := n.Command(os.Getenv("NETMENDCTL"), append([]string{"retire", "--root", n.Root, "--wait", "5s", "--made", "/etc/udev/rules.d", "--made", "/etc/cni/net.d"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("retire %q: %v: %s", args, err, out)
	}
	return string(out)
}

// tree is the node's own files with what they hold.
func tree(t *testing.T, n *lab.Node) (out []string) {
	t.Helper()
	err := filepath.WalkDir(n.Root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(n.Root, path)
		if err != nil || d.IsDir() && (name == "proc" || name == "sys") {
			return fs.SkipDir
		}
		line := fmt.Sprintf("%s %s", d.Type(), name)
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(text)
		}
		out = append(out, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestRetire installs the plugin and mends a node, and takes all of it back: the node's files are as they were, and its fault is there again.
func TestRetire(t *testing.T) {
	t.Parallel()
	f := lab.NewFlannel(t, 4, "")
	n := f.Nodes[0]
	f.Pods[1].Listen(f.Target())
	f.MarkAndMasquerade("--random-fully")
	n.Write("etc/cni/net.d/10-flannel.conflist", "%s", conflist)
	for _, dir := range []string{"opt/cni/bin", "run", "var/lib"} {
		if err := os.MkdirAll(filepath.Join(n.Root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	plugin := filepath.Join(t.TempDir(), "netmend")
	if err := lab.Build(plugin, "./plugins/netmend"); err != nil {
		t.Fatal(err)
	}
	before := tree(t, n)
	use := func() {
		t.Helper()
		if out, err := exec.Command(os.Getenv("NETMENDCTL"), "install", "--root", n.Root, "--plugin", plugin).CombinedOutput(); err != nil {
			t.Fatalf("install: %v: %s", err, out)
		}
		mend(t, n, 0, "fix", "--yes", "--check", "tunnel-tx-checksum")
		n.Write("run/netmend/node-state", "{}")
		if err := os.MkdirAll(filepath.Join(n.Root, "etc/udev/rules.d"), 0o755); err != nil { // as kubelet does for a pod
			t.Fatal(err)
		}
		connects(t, f, false)
	}

	use()
	if out := retire(t, n, "--keep-fixes"); !strings.Contains(out, "Nothing of netmend") {
		t.Errorf("retire says %s", out)
	}
	connects(t, f, false)
	if d := mend(t, n, 0, "history"); len(d.Fixes) != 1 || d.Fixes[0].State != "verified" {
		t.Errorf("the journal of fixes that were kept says %+v", d.Fixes)
	}
	if text, err := os.ReadFile(filepath.Join(n.Root, "etc/cni/net.d/10-flannel.conflist")); err != nil || string(text) != conflist {
		t.Errorf("the chain is %s, %v", text, err)
	}

	out := retire(t, n)
	for range 2 {
		if diff := cmp.Diff(before, tree(t, n)); diff != "" {
			t.Errorf("the node's files (-before +after):\n%s\nretire says %s", diff, out)
		}
		connects(t, f, true)
		out = retire(t, n) // which changes nothing
	}
}
