package inside

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/test/e2e/lab"
)

// TestIPVSList has virtual servers in two network namespaces, as nodes in containers have that share a kernel. /proc/net/ip_vs leaves some out in each (see
// pkg/host/ipvs.go), also where what remains is short, as before a server with many destinations; what is read leaves out none. Which the file leaves out depends on where
// the kernel's hash puts them, which here is apart.
func TestIPVSList(t *testing.T) {
	sh(t, "modprobe -a ip_vs ip_vs_rr")
	const servers, destinations, rounds = 25, 60, 3
	list := []*lab.NS{lab.NewNS(t, "servers"), lab.NewNS(t, "servers")}
	short := 0
	for port := range rounds {
		for _, ns := range list {
			rules := ""
			for s := range servers {
				rules += fmt.Sprintf("-A -t 192.0.2.%d:%d -s rr\n", 10*s+1, port+1)
			}
			for d := range destinations {
				rules += fmt.Sprintf("-a -t 192.0.2.1:%d -r 198.51.100.%d:80 -m\n", port+1, d+1)
			}
			ns.Sh("ipvsadm -C; ipvsadm -R <<'E'\n" + rules + "E")
		}
		for _, ns := range list {
			if strings.Count(ns.Sh("cat /proc/net/ip_vs"), "TCP ") < servers {
				short++
			}
			h, err := host.Open(host.Options{NetNS: ns.Path})
			if err != nil {
				t.Fatal(err)
			}
			err = h.Node().Do(func() error {
				v, err := h.Node().IPVS()
				if err == nil && (len(v.Servers) != servers || len(v.Servers[0].Dests) != destinations) {
					err = fmt.Errorf("%d servers: %+v; want %d, the first with %d destinations", len(v.Servers), v.Servers, servers, destinations)
				}
				rules, failed := h.Node().ServiceRules(host.ServiceOptions{Mode: facts.ModeIPVS}, nil)
				if failed == nil && len(rules.Paths) != servers {
					failed = fmt.Errorf("%d ways; want %d", len(rules.Paths), servers)
				}
				return errors.Join(err, failed)
			})
			if err = errors.Join(err, h.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	if short == 0 {
		t.Error("the kernel's file is whole everywhere: nothing was tried")
	}
}
