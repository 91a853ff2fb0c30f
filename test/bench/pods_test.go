package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// maxPerPod is in milliseconds; maxGrowth is how much more a pod of many may cost than one of few, 1 being linear.
const (
	few, many = 50, 250
	maxPerPod = 4.0
	maxGrowth = 1.3
)

// BenchmarkAuditPods audits a node with few pods, then with many, each a network namespace on the bridge.
func BenchmarkAuditPods(b *testing.B) {
	n := lab.NewNode(b, "crowded")
	n.Sh("sysctl -qw net.ipv4.ip_forward=1; ip link add cni0 type bridge; ip addr add 10.244.0.1/16 dev cni0; ip link set cni0 up")
	n.Write("etc/cni/net.d/10-bridge.conflist", `{"name":"pods","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"host-local","subnet":"10.244.0.0/16"}}]}`)
	for _, plugin := range []string{"bridge", "host-local"} {
		n.Program("opt/cni/bin/" + plugin)
	}
	made := 0
	at := func(pods int) time.Duration {
		for ; made < pods; made++ {
			n.BridgePod("cni0", fmt.Sprintf("veth%d", made), 1500, fmt.Sprintf("10.244.%d.%d/16", 1+made/250, 1+made%250), "10.244.0.1")
		}
		time.Sleep(3 * time.Second) // until the kernel has finished with their addresses
		if got := n.Audit().Node.Pods; got != pods {
			b.Fatalf("the audit saw %d pods; want %d", got, pods)
		}
		var runs []run
		for range rounds {
			runs = append(runs, measure(b, audit(n)))
		}
		return median(runs)
	}
	little, much := at(few), at(many)
	ratio(b, "audit-250-pods", ms(much)/many, maxPerPod, fmt.Sprintf("milliseconds for each of %d pods: %.0f ms together (median of %d)", many, ms(much), rounds))
	ratio(b, "audit-250-pods-growth", (ms(much)/many)/(ms(little)/few), maxGrowth,
		fmt.Sprintf("a pod of %d costs %.2f ms, a pod of %d %.2f ms: 1 is linear", few, ms(little)/few, many, ms(much)/many))
}
