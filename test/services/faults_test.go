package services

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	web     = lab.Web + ":http"
	webIP   = lab.WebAddress
	webPort = lab.WebNodePort
)

// fault is something that somebody does to a node's rules.
type fault struct {
	name, do string
	want     []string
	says     string // of the finding's message
	undo     string // of what kube-proxy does not take back
}

// links are the names of what carries the Service.
func links(mode string, endpoint string) (service, end string) {
	at := netip.MustParseAddrPort(endpoint)
	if mode == facts.ModeNFTables {
		return services.NFTPrefixCluster + services.NFTPort(web, "tcp"), services.NFTPrefixEndpoint + services.NFTEndpoint(web, "tcp", at)
	}
	return services.PrefixCluster + services.PortHash(web, "tcp"), services.PrefixEndpoint + services.EndpointHash(web, "tcp", at)
}

func faults(mode string) []fault {
	service, end := links(mode, "10.244.5.2:8080")
	const missing, stale, worse = "critical service-rules-missing kube-proxy", "warning service-rules-stale default/web", "critical service-rules-stale default/web"
	if mode == facts.ModeNFTables {
		return []fault{
			{"a chain flushed", "nft flush chain ip kube-proxy '" + service + "'", []string{missing}, "default/web", ""},
			{"an endpoint's chain flushed", "nft flush chain ip kube-proxy '" + end + "'", []string{stale}, "10.244.5.2:8080 should have connections and has none", ""},
			{"a wrong target", "nft flush chain ip kube-proxy '" + end + "'; nft add rule ip kube-proxy '" + end + "' meta l4proto tcp dnat to 10.244.5.9:8080", []string{worse}, "connections go to 10.244.5.9:8080", ""},
			{"an element of the map removed", "nft delete element ip kube-proxy service-ips '{ " + webIP + " . tcp . 80 }'", []string{missing}, "default/web", ""},
			{"the node port removed", fmt.Sprintf("nft delete element ip kube-proxy service-nodeports '{ tcp . %d }'", webPort), []string{missing}, "default/web", ""},
		}
	}
	return []fault{
		{"a chain flushed", "iptables-nft -t nat -F " + service, []string{missing}, "default/web", ""},
		{"an endpoint's rule deleted", "iptables-nft -t nat -D " + service + " 2", []string{stale}, "10.244.5.2:8080 should have connections and has none", ""},
		{"a wrong target", "iptables-nft -t nat -F " + end + "; iptables-nft -t nat -A " + end + " -p tcp -m tcp -j DNAT --to-destination 10.244.5.9:8080", []string{worse}, "connections go to 10.244.5.9:8080", ""},
		{"the rule of its address removed", fmt.Sprintf("iptables-nft -t nat -D KUBE-SERVICES -d %s/32 -p tcp -m comment --comment '%s cluster IP' -m tcp --dport 80 -j %s", webIP, web, service), []string{missing}, "default/web", ""},
		{"another program's rule in front", "iptables-nft -t nat -I PREROUTING -d " + webIP + "/32 -p tcp -m tcp --dport 80 -j ACCEPT",
			[]string{"critical service-rules-stale nat PREROUTING rule 1"}, "keeps connections from kube-proxy's rules of default/web", "iptables-nft -t nat -D PREROUTING 1"},
	}
}

// TestFaults makes faults by hand in the rules of a real kube-proxy: each gives exactly its finding, and none is left when kube-proxy writes its rules anew.
func TestFaults(t *testing.T) {
	for _, mode := range []string{facts.ModeIPTables, facts.ModeNFTables} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			c := lab.NewCluster(t)
			n := node(c, "faults-"+mode, 0)
			n.Sh("ip link add cni0 type bridge; ip addr add 10.244.5.1/24 dev cni0; ip link set cni0 up")
			pod := n.BridgePod("cni0", "veth0", 1500, "10.244.5.2/24", "10.244.5.1")
			pod.Listen(netip.MustParseAddrPort("10.244.5.2:8080"))
			c.CreateWeb(n.Name, "10.244.5.2", "10.244.5.3")
			p := c.Proxy(n, mode)
			judge := func(want []string, says string) {
				t.Helper()
				file := c.Services()
				var r *lab.Report
				lab.WaitFor(t, time.Minute, fmt.Sprintf("findings %q", want), func() (bool, string) {
					r = n.Audit("--services", file, "--check", "service-rules-missing,service-rules-stale,proxy-mode-leftover,kube-proxy-not-ready")
					judged := true
					for _, s := range r.Skipped {
						judged = judged && s.Partial
					}
					return judged && fmt.Sprint(r.Wrong()) == fmt.Sprint(want), r.Describe()
				})
				if says != "" && !strings.Contains(r.Text, says) {
					t.Errorf("no finding says %q\n%s", says, r.Describe())
				}
			}
			judge([]string{}, "")
			follow(t, c, n, mode)
			for _, f := range faults(mode) {
				n.Sh(f.do)
				t.Logf("%s", f.name)
				judge(f.want, f.says)
				p.Stop()
				n.Sh(f.undo)
				if mode == facts.ModeNFTables { // as the advice says: it leaves the chains of endpoints alone that it finds
					n.Sh("nft delete table ip kube-proxy; nft delete table ip6 kube-proxy")
				}
				p = c.Proxy(n, mode) // which writes all rules when it starts
				judge([]string{}, "")
			}
			p.Stop() // what changes now, nobody writes
			t.Log("endpoints changed without kube-proxy")
			c.ReplaceWeb("elsewhere", "10.244.5.2", "10.244.5.4")
			judge([]string{"critical service-rules-stale default/web"}, "connections go to 10.244.5.3:8080, which should have none; 10.244.5.4:8080 should have connections and has none")
			p = c.Proxy(n, mode)
			judge([]string{}, "")

			c.HintWeb(n.Name, map[string]string{"10.244.5.2": "z1", "10.244.5.3": "z2"})
			judge([]string{}, "") // the node has no zone
			p.Stop()
			t.Log("a zone without kube-proxy")
			c.Label(n.Name, map[string]string{"topology.kubernetes.io/zone": "z1"})
			judge([]string{"warning service-rules-stale hints for zone z1"}, "connections to default/web go to other zones too")
			for range 5 { // it may miss the zone, as the advice says
				p = c.Proxy(n, mode)
				if zoned(n, c.Services()) {
					break
				}
				t.Log("kube-proxy has missed its node's zone")
				p.Stop()
			}
			judge([]string{}, "")
		})
	}
}

// zoned says whether kube-proxy heeds the hints for its node's zone within a time in which it has heard of it, if ever.
func zoned(n *lab.Node, file string) bool {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(time.Second) {
		if r := n.Audit("--services", file, "--check", "service-rules-stale"); len(r.Findings)+len(r.Skipped) == 0 {
			return true
		}
	}
	return false
}

// follow runs netmendctl service by name and by address, with a backend that answers and one that does not.
func follow(t *testing.T, c *lab.Cluster, n *lab.Node, mode string) {
	t.Helper()
	file := c.Services()
	service, _ := links(mode, "10.244.5.2:8080")
	for _, name := range []string{"default/web", webIP + ":80"} {
		cmd := lab.Netmendctl("service", name, "--netns", n.Path, "--root", n.Root, "--services", file, "-o", "json", "--connect", "3s")
		cmd.Stderr = os.Stderr
		out, _ := cmd.Output() // one backend does not answer, so it ends with 1
		var doc struct {
			Mode string
			Ways []struct {
				Frontend, Address, Wanted string
				Held, Links, Differs      []string
				Connects                  []struct {
					To, What, Error string
					Milliseconds    float64
				}
			}
		}
		if err := json.Unmarshal(out, &doc); err != nil || cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("service %s: %v, exit %d: %s", name, err, cmd.ProcessState.ExitCode(), out)
		}
		found := false
		for _, w := range doc.Ways {
			if len(w.Differs) > 0 || w.Wanted == "" || len(w.Held) == 0 {
				t.Errorf("service %s: %+v; want the rules as the cluster wants them", name, w)
			}
			if w.Frontend != "cluster" {
				continue
			}
			found = true
			if !strings.Contains(strings.Join(w.Links, "\n"), service) {
				t.Errorf("service %s: links %q; want %s among them", name, w.Links, service)
			}
			for _, x := range w.Connects {
				if ok := x.Error == ""; x.To == "10.244.5.2:8080" != ok && x.What == "backend" || ok != (x.Milliseconds > 0) {
					t.Errorf("service %s: connection %+v", name, x)
				}
			}
			if len(w.Connects) != 3 {
				t.Errorf("service %s: %d connections; want the address and two backends", name, len(w.Connects))
			}
		}
		if !found {
			t.Errorf("service %s: no way of its cluster IP: %s", name, out)
		}
	}
	text, _ := lab.Netmendctl("service", "default/web", "--netns", n.Path, "--root", n.Root, "--services", file).Output()
	t.Logf("\n%s", text)
}
