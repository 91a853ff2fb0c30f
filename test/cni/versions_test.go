package cni

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestResultsPass runs each of four main plugins in each version of the specification and hands its result to netmend: what comes out means the same.
func TestResultsPass(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up")
	number := 0
	for _, version := range []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} {
		for _, plugin := range []string{"bridge", "ptp", "macvlan", "host-device"} {
			for _, six := range []bool{false, true} {
				number++
				t.Run(fmt.Sprintf("%s %s six=%v", version, plugin, six), func(t *testing.T) { testPass(t, n, version, plugin, six, number) })
			}
		}
	}
}

func testPass(t *testing.T, n *node, version, plugin string, six bool, number int) {
	pod := lab.NewNS(t, "pod")
	ranges := [][]map[string]any{{{"subnet": fmt.Sprintf("10.%d.0.0/24", number)}}}
	routes := []map[string]any{{"dst": "0.0.0.0/0"}}
	if six {
		ranges = append(ranges, []map[string]any{{"subnet": fmt.Sprintf("fd00:%d::/64", number)}})
		routes = append(routes, map[string]any{"dst": "::/0"})
	}
	conf := map[string]any{
		"cniVersion": version, "name": fmt.Sprintf("net%d", number), "dns": map[string]any{"nameservers": []string{"10.96.0.10"}, "search": []string{"svc.cluster.local"}},
		"ipam": map[string]any{"type": "host-local", "ranges": ranges, "routes": routes},
	}
	switch plugin {
	case "bridge":
		conf["bridge"], conf["isGateway"], conf["mtu"] = fmt.Sprintf("br%d", number), true, 1450
	case "macvlan":
		conf["master"] = "up0"
	case "host-device":
		dev := fmt.Sprintf("dev%d", number)
		n.Sh(fmt.Sprintf("ip link add %s type veth peer name %sx; ip link set %sx up", dev, dev, dev))
		conf["device"] = dev
	}
	id := fmt.Sprint("box", number)
	result := n.must(n.run(call{plugin: plugin, command: "ADD", pod: pod, id: id}, conf)).out
	netmend := map[string]any{"cniVersion": version, "name": conf["name"], "prevResult": json.RawMessage(result)}
	out := n.must(n.run(call{plugin: "netmend", command: "ADD", pod: pod, id: id}, netmend))
	if d := cmp.Diff(decoded(t, result), decoded(t, out.out)); d != "" {
		t.Errorf("result differs (-in +out):\n%s", d)
	}
	if len(out.err) > 0 {
		t.Errorf("a healthy pod gives a warning: %s", out.err)
	}
	if version >= "0.4.0" {
		n.must(n.run(call{plugin: "netmend", command: "CHECK", pod: pod, id: id}, netmend))
	}
	n.must(n.run(call{plugin: "netmend", command: "DEL", pod: pod, id: id}, netmend))
	delete(netmend, "prevResult")
	n.must(n.run(call{plugin: "netmend", command: "DEL", pod: pod, id: id}, netmend))
	n.must(n.run(call{plugin: plugin, command: "DEL", pod: pod, id: id}, conf))
}
