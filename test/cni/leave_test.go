package cni

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

// state is everything that a plugin could change, line by line: the files of the node, and links, addresses, routes, rules, neighbours, packet filters and
// settings of a namespace. It waits until the kernel has stopped changing them by itself, and leaves out what never stops.
func state(t *testing.T, n *node, ns *lab.NS) []string {
	t.Helper()
	lab.WaitFor(t, 3*time.Minute, "addresses to settle", func() (bool, string) {
		out := ns.Sh("ip -6 addr show tentative")
		return out == "", out
	})
	files, err := lab.Shell("find " + n.Root + "/ -xdev -printf '%p %y %s %T@ %l\\n'")
	if err != nil {
		t.Fatal(err)
	}
	kernel := ns.Sh(`
		ip -d -o link; ip -o addr; bridge -o link; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all
		ip neigh show nud all | sed 's/ [A-Z]* *$//' | grep -v ^fe80: || true # which links tell each other
		nft list ruleset; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null || true
		for link in $(ls /sys/class/net); do ethtool -k $link; done
		sysctl -a -r '^net\.' 2>/dev/null | grep -v nf_conntrack_count`)
	lines := strings.Split(files+regexp.MustCompile(`(_timer|expires|_lft) +\S+`).ReplaceAllString(kernel, "$1"), "\n")
	slices.Sort(lines)
	return lines
}

// TestNothingIsLeft makes every request there is, in good form and in bad, of a plugin that judges all it can and mends nothing: the node and the pod stay as
// they are, and DEL and GC succeed.
func TestNothingIsLeft(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	netmend["detectConflict"], netmend["gate"] = true, []string{"service-rules-missing", "ip-forward", "conntrack-full"}
	n.must(n.run(call{plugin: "netmend", command: "ADD", pod: pod}, netmend)) // the first one lets the kernel learn the pod's MAC
	node, inside := state(t, n, n.NS), state(t, n, pod)
	for range 3 {
		for _, command := range []string{"ADD", "CHECK", "STATUS", "DEL", "GC"} {
			n.must(n.run(call{plugin: "netmend", command: command, pod: pod}, netmend))
		}
	}
	if d := cmp.Diff(node, state(t, n, n.NS)); d != "" {
		t.Errorf("the node has changed (-before +after):\n%s", d)
	}
	if d := cmp.Diff(inside, state(t, n, pod)); d != "" {
		t.Errorf("the pod has changed (-before +after):\n%s", d)
	}

	gone := &lab.NS{Path: "/run/netns/" + pod.Name + "-gone"}
	for name, change := range map[string]func(map[string]any){
		"no result":        func(c map[string]any) { delete(c, "prevResult") },
		"an odd result":    func(c map[string]any) { c["prevResult"] = []int{1} },
		"an unknown key":   func(c map[string]any) { c["moed"] = "warn" },
		"a wrong value":    func(c map[string]any) { c["timeout"] = 5 },
		"an unknown check": func(c map[string]any) { c["checks"] = map[string]string{"x": "enforce"} },
		"attachments": func(c map[string]any) {
			c["cni.dev/valid-attachments"] = []any{map[string]string{"containerID": "a", "ifname": "eth0"}}
		},
		"enforced and no time": func(c map[string]any) { c["mode"], c["failurePolicy"], c["timeout"] = "enforce", "Fail", "1ns" },
	} {
		t.Run(name, func(t *testing.T) {
			conf := map[string]any{}
			data, err := json.Marshal(netmend)
			if err == nil {
				err = json.Unmarshal(data, &conf)
			}
			if err != nil {
				t.Fatal(err)
			}
			change(conf)
			for _, command := range []string{"DEL", "GC"} {
				for _, ns := range []*lab.NS{pod, gone, nil} {
					if o := n.run(call{plugin: "netmend", command: command, pod: ns}, conf); o.fail != nil || len(o.out)+len(o.err) > 0 {
						t.Errorf("%s: %s: %s%s", command, o.fail, o.out, o.err)
					}
				}
			}
		})
	}
	if d := cmp.Diff(node, state(t, n, n.NS)); d != "" {
		t.Errorf("the node has changed (-before +after):\n%s", d)
	}
}

// TestVersion asks what the plugin speaks.
func TestVersion(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	out := string(n.must(n.run(call{plugin: "netmend", command: "VERSION"}, map[string]any{"cniVersion": "1.1.0"})).out)
	for _, v := range versions {
		if !strings.Contains(out, `"`+v+`"`) {
			t.Errorf("VERSION prints %s; want %s in it", out, v)
		}
	}
	if o := n.run(call{plugin: "netmend", command: "STATUS"}, map[string]any{"cniVersion": "2.0.0"}); o.fail == nil || o.fail.Code != 1 {
		t.Errorf("an unknown version: %s; want code 1", o.fail)
	}
}
