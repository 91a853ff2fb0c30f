package cni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

// between stands in netmend's place, keeps what goes in and comes out, and runs it.
const between = `#!/bin/sh
set -u
cat >"$KEEP/$CNI_COMMAND.in"
%s <"$KEEP/$CNI_COMMAND.in" >"$KEEP/$CNI_COMMAND.out"
code=$?
cat "$KEEP/$CNI_COMMAND.out"
exit $code
`

// TestCNITool has the CNI library run lists of plugins with netmend at their end, in every version: what the plugin before it gave comes out.
func TestCNITool(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up")
	if err := os.Remove(filepath.Join(n.bin, "netmend")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(n.bin, "netmend"), fmt.Appendf(nil, between, os.Getenv(program)), 0o755); err != nil {
		t.Fatal(err)
	}
	number := 0
	for _, version := range versions {
		for _, plugin := range mainPlugins {
			number++
			t.Run(version+" "+plugin, func(t *testing.T) { n.testTool(t, version, plugin, number) })
		}
	}
}

func (n *node) testTool(t *testing.T, version, plugin string, number int) {
	conf := mainConf(n, version, plugin, number, false)
	name := conf["name"].(string)
	delete(conf, "cniVersion")
	delete(conf, "name")
	conf["type"] = plugin
	list, err := json.Marshal(map[string]any{"cniVersion": version, "name": name, "plugins": []any{conf, map[string]any{"type": "netmend", "timeout": "5s", "mode": "enforce"}}})
	if err != nil {
		t.Fatal(err)
	}
	dir, keep := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "10-x.conflist"), list, 0o644); err != nil {
		t.Fatal(err)
	}
	pod := lab.NewNS(t, "pod")
	tool := func(command string) []byte {
		t.Helper()
		cmd := n.inside(filepath.Join(n.bin, "cnitool"), command, name, pod.Path)
		cmd.Env = append(os.Environ(), "NETCONFPATH="+dir, "CNI_PATH="+n.bin, "KEEP="+keep)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("cnitool %s: %v: %s %s", command, err, out.Bytes(), errs.Bytes())
		}
		if errs.Len() > 0 {
			t.Errorf("cnitool %s: %s", command, errs.Bytes())
		}
		return out.Bytes()
	}
	read := func(file string) map[string]any {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(keep, file))
		if err != nil {
			t.Fatal(err)
		}
		return decoded(t, data).(map[string]any)
	}

	result := tool("add")
	in, out := read("ADD.in")["prevResult"], read("ADD.out")
	if d := cmp.Diff(in, any(out)); d != "" {
		t.Errorf("result differs (-in +out):\n%s", d)
	}
	if d := cmp.Diff(decoded(t, result), any(out)); d != "" {
		t.Errorf("cnitool prints another result (-cnitool +netmend):\n%s", d)
	}
	if out["cniVersion"] != version || out["ips"] == nil || out["routes"] == nil {
		t.Errorf("the result is %s", result)
	}
	if version >= "0.4.0" {
		tool("check")
	}
	if version == "1.1.0" {
		tool("status")
	}
	tool("del")
	if version >= "0.4.0" { // then the library hands the kept result on to DEL
		if d := cmp.Diff(in, read("DEL.in")["prevResult"]); d != "" {
			t.Errorf("DEL gets another result (-ADD +DEL):\n%s", d)
		}
	}
	if plugin != "host-device" { // which fails where it has nothing to give back
		tool("del")
	}
	if version == "1.1.0" {
		tool("gc")
	}
}
