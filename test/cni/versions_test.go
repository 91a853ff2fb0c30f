package cni

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

// The versions of the specification, and the plugins before netmend.
var (
	versions    = []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}
	mainPlugins = []string{"bridge", "ptp", "macvlan", "host-device"}
)

// TestResultsPass runs each of four main plugins in each version of the specification and hands its result to netmend: what comes out means the same.
func TestResultsPass(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.Sh("ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up")
	number := 0
	for _, version := range versions {
		for _, plugin := range mainPlugins {
			for _, six := range []bool{false, true} {
				number++
				t.Run(fmt.Sprintf("%s %s six=%v", version, plugin, six), func(t *testing.T) { testPass(t, n, version, plugin, six, number) })
			}
		}
	}
}

// mainConf is the configuration of a main plugin for the pod of this number, with what its device needs on the node. Since 1.1.0 a route has more to it.
func mainConf(n *node, version, plugin string, number int, six bool) map[string]any {
	ranges := [][]map[string]any{{{"subnet": fmt.Sprintf("10.%d.0.0/24", number)}}}
	routes := []map[string]any{{"dst": "0.0.0.0/0"}, {"dst": "192.0.2.0/24", "gw": fmt.Sprintf("10.%d.0.1", number)}}
	if six {
		ranges = append(ranges, []map[string]any{{"subnet": fmt.Sprintf("fd00:%d::/64", number)}})
		routes = append(routes, map[string]any{"dst": "::/0"})
	}
	if version == "1.1.0" {
		routes[1]["mtu"], routes[1]["advmss"], routes[1]["priority"], routes[1]["scope"], routes[1]["table"] = 1400, 1360, 50, 0, 254
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
	return conf
}

func testPass(t *testing.T, n *node, version, plugin string, six bool, number int) {
	pod := lab.NewNS(t, "pod")
	pod.Sh("sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0") // the plugins would wait for its end
	conf := mainConf(n, version, plugin, number, six)
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
