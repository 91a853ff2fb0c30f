package inside

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/test/e2e/lab"
)

// TestRandomIPVS compares what package services computes with what a real kube-proxy programs in IPVS mode. It is the last of its package: its Services stay
// with the API server, where nothing deletes a namespace. Package guest says how many sets there are.
func TestRandomIPVS(t *testing.T) {
	sets, err := strconv.Atoi(os.Getenv("NETMEND_SETS"))
	if err != nil {
		t.Fatal(err)
	}
	bridged(t)
	sh(t, "ip addr add fd00:99::15/64 dev eth0 nodad; ip addr add 192.0.2.15/24 dev eth0")
	undo(t, "ip addr del fd00:99::15/64 dev eth0; ip addr del 192.0.2.15/24 dev eth0")
	c := lab.Outside(t, "10.0.2.2")
	c.Label("guest", map[string]string{"topology.kubernetes.io/zone": "z1"})
	r := lab.NewRandom(1)
	r.Nodes, r.SCTP = []string{"guest", "other"}, true
	var all [][]lab.Request
	for i := range sets {
		all = append(all, r.Set(fmt.Sprintf("set-%d", i)))
	}
	c.Make(all)
	stop := proxy(t, "ipvs", ipvsReady)
	t.Cleanup(func() { cleanup(t) })
	c.Compare(facts.ModeIPVS, 2*sets, 8*time.Minute+time.Duration(sets)*6*time.Second, func() {
		stop()
		stop = proxy(t, "ipvs", ipvsReady)
	})
}
