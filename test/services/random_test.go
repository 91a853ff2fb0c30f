package services

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/services"
	"github.com/netmend/netmend/test/e2e/lab"
)

// sets is how many random sets of Services and EndpointSlices a real kube-proxy programs.
const sets = 200

// seed draws the sets; NETMEND_SEED draws others.
func seed(t *testing.T) uint64 {
	n, err := strconv.ParseUint(os.Getenv("NETMEND_SEED"), 10, 64)
	if err != nil {
		n = 1
	}
	t.Logf("NETMEND_SEED=%d", n)
	return n
}

// node is a node of the cluster with addresses of both families, and a zone.
func node(c *lab.Cluster, role string, number int) *lab.Node {
	n := c.Join(role)
	n.Sh(fmt.Sprintf("ip addr add fd00:99::%d/64 dev eth0 nodad; ip addr add 192.0.2.%d/24 dev eth0", 10+number, 10+number))
	return n
}

// TestRandom compares what package services computes with what a real kube-proxy programs, in iptables and nftables mode: all that is certain is equal.
func TestRandom(t *testing.T) {
	c := lab.NewCluster(t)
	modes := []string{facts.ModeIPTables, facts.ModeNFTables}
	var nodes []*lab.Node
	r := lab.NewRandom(seed(t))
	r.SCTP = canSCTP(t)
	for i, mode := range modes {
		n := node(c, mode, i)
		c.Label(n.Name, map[string]string{"topology.kubernetes.io/zone": fmt.Sprintf("z%d", 1+i)})
		nodes = append(nodes, n)
		r.Nodes = append(r.Nodes, n.Name)
	}
	var all [][]lab.Request
	for i := range sets {
		all = append(all, r.Set(fmt.Sprintf("set-%d", i)))
	}
	c.Make(all)
	var proxies []*lab.Process
	for i, mode := range modes {
		proxies = append(proxies, c.Proxy(nodes[i], mode))
	}
	for i, mode := range modes {
		restart := func() {
			proxies[i].Stop()
			proxies[i] = c.Proxy(nodes[i], mode)
		}
		c.Compare(mode, 2*sets, 5*time.Minute, restart, "--netns", nodes[i].Path, "--root", nodes[i].Root)
	}
	mirror(t, c, nodes[0])
}

// mirror compares what the daemon hears of the API server with what kubectl prints: of kube-proxy's Services it is the same.
func mirror(t *testing.T, c *lab.Cluster, n *lab.Node) {
	t.Helper()
	m, err := kube.NewMirror(c.Access(), n.Name, time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	lab.WaitFor(t, time.Minute, "the mirror to be whole", func() (bool, string) { return m.Cluster() != nil, fmt.Sprint(m.Err()) })
	heard := m.Cluster()
	f, err := os.Open(c.Services())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	objects, err := kube.DecodeFile(f)
	if err != nil {
		t.Fatal(err)
	}
	printed := objects.Cluster(heard.Source, n.Name, nil, time.Now())
	o := services.Options{Mode: facts.ModeIPTables, Node: n.Name, Zone: heard.Node.Zone}
	if d := cmp.Diff(services.Want(printed, o).Rules, services.Want(heard, o).Rules, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); d != "" {
		t.Errorf("what is wanted by kubectl's file and by the API server (-file +API):\n%s", d)
	}
	t.Logf("heard of %d Services in %d EndpointSlices", len(heard.All), len(heard.Slices))
}

// canSCTP says whether this kernel's packet filters can match SCTP, without which kube-proxy could write nothing.
func canSCTP(t *testing.T) bool {
	ns := lab.NewNS(t, "sctp")
	_, err := ns.Try("iptables-nft -A INPUT -p sctp -m sctp --dport 1 -j ACCEPT; ip6tables-nft -A INPUT -p sctp -m sctp --dport 1 -j ACCEPT; " +
		"iptables-nft -t nat -A OUTPUT -p sctp -m sctp --dport 1 -j DNAT --to-destination 192.0.2.1:1")
	return err == nil
}
