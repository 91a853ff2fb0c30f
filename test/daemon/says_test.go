package daemon

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// memory is what a daemon may have in all, beside everything that it says.
const memory = 40 << 20

// TestSays lets a real fault of a real node be seen with kubectl, and its end. The node begins with the startup taint, which goes when it is proven.
func TestSays(t *testing.T) {
	t.Parallel()
	c := lab.NewCluster(t)
	c.KnowReports()
	n := c.Join("says")
	taint := map[string]any{"spec": map[string]any{"taints": []any{map[string]any{"key": "netmend.io/network-not-ready", "effect": "NoSchedule"}}}}
	if _, err := c.Do(http.MethodPatch, "/api/v1/nodes/"+n.Name, taint); err != nil {
		t.Fatal(err)
	}
	c.Proxy(n, facts.ModeNFTables)
	n.Sh("ip link add flannel.1 mtu 1450 type vxlan id 1 local 10.99.0.11 df set dstport 8472 nolearning; ip link set flannel.1 up")
	kubeconfig := c.Kubeconfig()
	d := newDaemon(t, n, "audit", "kubernetes: {access: "+kubeconfig+", node: "+n.Name+", startupTaint: true}").start()
	kubectl := func(args string) string {
		out, err := n.Try(filepath.Join(lab.Cache(t, "cluster"), "kubectl") + " --kubeconfig " + kubeconfig + " " + args + " 2>&1")
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return out
	}
	shows := func(what, args string, words ...string) {
		t.Helper()
		var out string
		lab.WaitFor(t, patience, what, func() (bool, string) {
			out = kubectl(args)
			for _, w := range words {
				if without, absent := strings.CutPrefix(w, "!"); strings.Contains(out, without) == absent {
					return false, fmt.Sprintf("%q in\n%s%s", w, out, d.log(10))
				}
			}
			return true, ""
		})
		t.Logf("kubectl %s\n%s", args, out)
	}
	d.ready()
	shows("the node to be free", "get node "+n.Name+" -o jsonpath={.spec.taints}", "!network-not-ready")
	shows("the node to be proven", "get nnr", "proven")
	shows("what the node is compared by", "get nnr "+n.Name+" -o yaml", "name: flannel.1", "uplink: eth0", "proxyMode: nftables", "kind: Node")
	d.untilCondition(status.Kubernetes, true, "")

	n.Sh("ip link set flannel.1 mtu 1500")
	shows("the fault", "get nnr", "faulty")
	shows("the fault of the node", "describe node "+n.Name, "NetworkMisconfigured   True", "NetworkFaultFound", "tunnel-mtu-over-uplink on flannel.1")
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.Fields(v)[0])
			if t.Logf("most memory: %d KiB", kib); err != nil || kib<<10 > memory {
				t.Errorf("netmendd has had %d KiB, %v; want %d at most", kib, err, memory>>10)
			}
		}
	}

	n.Sh("ip link set flannel.1 mtu 1450")
	shows("the end of the fault", "describe node "+n.Name, "NetworkMisconfigured   False", "NetworkFaultGone")
	d.configure("audit", "kubernetes: {access: "+kubeconfig+", node: "+n.Name+", report: false, condition: false, events: false}")
	shows("what is not wanted any more to be taken back", "get nnr", "No resources found")
	shows("the condition to be taken back", "describe node "+n.Name, "!NetworkMisconfigured")
}
