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

// TestIPVSList has virtual servers in two network namespaces. The kernel leaves some out of the list of each (see pkg/host/ipvs.go), also where what remains is
// short, as before a server with many destinations: they must not look as if they were gone. Which are left out depends on where the kernel's hash puts them, which here is apart.
func TestIPVSList(t *testing.T) {
	sh(t, "modprobe -a ip_vs ip_vs_rr")
	const servers, destinations, rounds = 25, 60, 3
	list := []*lab.NS{lab.NewNS(t, "servers"), lab.NewNS(t, "servers")}
	tried, whole := 0, 0
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
			h, err := host.Open(host.Options{NetNS: ns.Path})
			if err != nil {
				t.Fatal(err)
			}
			var got [2]string
			err = h.Node().Do(func() error {
				v, err := h.Node().IPVS()
				if got[0] = notRead(err); got[0] == "" {
					got[0] = fmt.Sprintf("%d servers, %d destinations", len(v.Servers), len(v.Servers[0].Dests))
				}
				rules, err := h.Node().ServiceRules(host.ServiceOptions{Mode: facts.ModeIPVS}, nil)
				if got[1] = notRead(err); got[1] == "" {
					got[1] = fmt.Sprintf("%d ways", len(rules.Paths))
				}
				return nil
			})
			if err = errors.Join(err, h.Close()); err != nil {
				t.Fatal(err)
			}
			for i, want := range [...]string{fmt.Sprintf("%d servers, %d destinations", servers, destinations), fmt.Sprintf("%d ways", servers)} {
				switch tried++; {
				case got[i] == want:
					whole++
				case !strings.HasPrefix(got[i], "interrupted"):
					t.Errorf("%s; want %s, or that they cannot be read", got[i], want)
				}
			}
		}
	}
	if whole == tried {
		t.Errorf("all of %d lists are whole: nothing was tried", tried)
	}
	t.Logf("%d of %d lists are whole", whole, tried)
}

// notRead is empty where there is no error.
func notRead(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, host.ErrInterrupted):
		return "interrupted: " + err.Error()
	}
	return err.Error()
}
