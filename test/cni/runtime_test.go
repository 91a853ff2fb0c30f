package cni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

// program is the built plugin's place; the tests of this package share it.
const program = "NETMEND_CNI"

func TestMain(m *testing.M) {
	os.Setenv("NETMENDCTL", "/bin/true") // which these tests do not use
	os.Exit(lab.Main(func() int {
		path := filepath.Join(os.TempDir(), "netmend")
		if err := lab.Build(path, "./plugins/netmend"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		os.Setenv(program, path)
		return m.Run()
	}))
}

// node is a node with programs in a directory of its own and with its own /etc and /var.
type node struct {
	*lab.Node
	t   testing.TB
	bin string
}

func newNode(t testing.TB) *node {
	t.Helper()
	n := &node{Node: lab.NewNode(t, "node"), t: t, bin: filepath.Join(t.TempDir(), "bin")}
	if err := os.MkdirAll(n.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(lab.Cache(t, "cni"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		n.link(filepath.Join(lab.Cache(t, "cni"), e.Name()), filepath.Join(n.bin, e.Name()))
	}
	n.link(os.Getenv(program), filepath.Join(n.bin, "netmend"))
	// The node's /etc hides the machine's, in which iptables is a link.
	for _, name := range []string{"iptables", "ip6tables", "iptables-save", "ip6tables-save", "iptables-restore", "ip6tables-restore"} {
		backend, kind, _ := strings.Cut(name, "-")
		target := "/usr/sbin/" + backend + "-nft"
		if kind != "" {
			target += "-" + kind
		}
		n.link(target, filepath.Join(n.Root, "etc/alternatives", name))
	}
	return n
}

func (n *node) link(target, path string) {
	n.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		n.t.Fatal(err)
	}
}

// call is one run of a plugin.
type call struct {
	plugin, command string
	pod             *lab.NS
	ifName, args    string
	id              string
}

// outcome is what a plugin printed.
type outcome struct {
	out, err []byte
	fail     *cniError // nil where it succeeded
}

type cniError struct {
	Code    uint   `json:"code"`
	Msg     string `json:"msg"`
	Details string `json:"details"`
}

func (e *cniError) String() string {
	if e == nil {
		return "no error"
	}
	return fmt.Sprintf("code %d: %s; %s", e.Code, e.Msg, e.Details)
}

// inside is a command that sees the node's namespace, /etc and /var.
func (n *node) inside(name string, args ...string) *exec.Cmd {
	script := fmt.Sprintf(`mount --bind %[1]s/etc /etc; mount --bind %[1]s/var /var; exec "$@"`, n.Root)
	return n.Command("sh", append([]string{"-euc", script, "sh", name}, args...)...)
}

// run runs a plugin with a configuration, to which the network's name is added.
func (n *node) run(c call, conf map[string]any) outcome {
	n.t.Helper()
	if conf["name"] == nil {
		conf["name"] = "pods"
	}
	conf["type"] = c.plugin
	stdin, err := json.Marshal(conf)
	if err != nil {
		n.t.Fatal(err)
	}
	return n.feed(c, stdin)
}

func (n *node) feed(c call, stdin []byte) outcome {
	n.t.Helper()
	cmd := n.inside(filepath.Join(n.bin, c.plugin))
	if c.ifName == "" {
		c.ifName = "eth0"
	}
	if c.id == "" {
		c.id = "box"
	}
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+c.command, "CNI_CONTAINERID="+c.id, "CNI_IFNAME="+c.ifName, "CNI_PATH="+n.bin, "CNI_ARGS="+c.args)
	if c.pod != nil {
		cmd.Env = append(cmd.Env, "CNI_NETNS="+c.pod.Path)
	}
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	o := outcome{}
	if err := cmd.Run(); err != nil {
		o.fail = &cniError{}
		if jsonErr := json.Unmarshal(out.Bytes(), o.fail); jsonErr != nil {
			n.t.Fatalf("%s %s: %v: no CNI error in %q; %s", c.plugin, c.command, err, out.String(), errs.String())
		}
	}
	o.out, o.err = out.Bytes(), errs.Bytes()
	return o
}

// must fails the test where the plugin failed.
func (n *node) must(o outcome) outcome {
	n.t.Helper()
	if o.fail != nil {
		n.t.Fatalf("%s\n%s", o.fail, o.err)
	}
	return o
}

// decoded is a JSON document as it means.
func decoded(t testing.TB, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
	return v
}
