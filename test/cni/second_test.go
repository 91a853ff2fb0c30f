package cni

import (
	"encoding/json"
	"strings"
	"testing"
)

// second is the network of another interface, as Multus has it made.
func second() map[string]any {
	return map[string]any{
		"cniVersion": "1.1.0", "name": "second", "bridge": "br2", "isGateway": true, "mtu": 1450,
		"ipam": map[string]any{"type": "host-local", "ranges": []any{[]any{map[string]any{"subnet": "10.77.0.0/24"}}}},
	}
}

// TestSecondInterface gives the pod a second link with a fault: whoever makes that one is told, and whoever made the first one is not, unless its result has both.
func TestSecondInterface(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	first := netmend["prevResult"].(json.RawMessage)
	net1 := call{plugin: "bridge", command: "ADD", pod: pod, ifName: "net1"}
	other := n.must(n.run(net1, second())).out
	net1.plugin = "netmend"
	netmend["checks"] = map[string]string{"pod-mtu-mismatch": "enforce"}

	ask := func(c call, name string, result []byte) outcome {
		netmend["name"], netmend["prevResult"] = name, json.RawMessage(result)
		return n.run(c, netmend)
	}
	eth0 := call{plugin: "netmend", command: "ADD", pod: pod}
	both := merge(t, first, other)
	for name, o := range map[string]outcome{"first": ask(eth0, "pods", first), "second": ask(net1, "second", other), "both": ask(eth0, "pods", both)} {
		if n.must(o); len(o.err) > 0 {
			t.Errorf("%s: a healthy pod gives a warning: %s", name, o.err)
		}
	}
	n.Sh("ip link set $(ls /sys/class/net/br2/brif) mtu 1300")
	for name, o := range map[string]outcome{"second": ask(net1, "second", other), "both": ask(eth0, "pods", both)} {
		if o.fail == nil || o.fail.Code != 101 || !strings.Contains(o.fail.Msg, "net1") || !strings.Contains(o.fail.Msg, "1300") {
			t.Errorf("%s: %s; want code 101 for net1", name, o.fail)
		}
	}
	n.must(ask(eth0, "pods", first))
	net1.command = "CHECK"
	if o := ask(net1, "second", other); o.fail == nil || o.fail.Code != 101 {
		t.Errorf("CHECK: %s; want code 101", o.fail)
	}
}

// merge makes a result with the links and addresses of two.
func merge(t *testing.T, a, b []byte) []byte {
	t.Helper()
	one, two := decoded(t, a).(map[string]any), decoded(t, b).(map[string]any)
	before := len(one["interfaces"].([]any))
	for _, ip := range two["ips"].([]any) {
		ip := ip.(map[string]any)
		ip["interface"] = ip["interface"].(float64) + float64(before)
	}
	for _, key := range []string{"interfaces", "ips"} {
		one[key] = append(one[key].([]any), two[key].([]any)...)
	}
	out, err := json.Marshal(one)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
