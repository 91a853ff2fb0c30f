package inside

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	ipvsReady     = "ipvsadm -Ln | grep -q '" + lab.DNSAddress + ":53'"
	iptablesReady = "iptables-nft -t nat -S KUBE-SVC-TCOU7JCQXEZGVUNU"
)

// TestBridgeNFCallAbsent is a node whose kernel has not loaded br_netfilter. It comes first: the module is not unloaded again by what follows.
func TestBridgeNFCallAbsent(t *testing.T) {
	bridged(t)
	if out := sh(t, "lsmod"); strings.Contains(out, "br_netfilter") {
		t.Fatal("br_netfilter is loaded already")
	}
	stop := proxy(t, "iptables", iptablesReady)
	stop()
	t.Cleanup(func() { cleanup(t) })
	mend(t, audit(t).Want("critical bridge-nf-call net.bridge.bridge-nf-call-iptables"))
	if out := sh(t, "lsmod"); !strings.Contains(out, "br_netfilter") {
		t.Error("br_netfilter is not loaded after the fix")
	}
	audit(t).Want().Judged("bridge-nf-call")
}

// TestIPVS has the real kube-proxy in IPVS mode: healthy while it runs and long enough, then each half of what carries a Service goes.
func TestIPVS(t *testing.T) {
	pods := bridged(t)
	start := time.Now()
	stop := proxy(t, "ipvs", ipvsReady)
	t.Cleanup(func() { cleanup(t) })
	audit(t).Want()
	pods[0].Listen(netip.MustParseAddrPort("10.244.1.2:53"))
	if _, err := pods[1].Connect(netip.MustParseAddrPort(lab.DNSAddress+":53"), 5*time.Second); err != nil {
		t.Errorf("the Service does not work: %v", err)
	}
	time.Sleep(time.Until(start.Add(122 * time.Second))) // before that the absence of rules would not count
	for _, args := range [][]string{nil, {"--window", "2s"}} {
		audit(t, args...).Want().Judged("service-rules-missing", "proxy-mode-leftover", "bridge-nf-call", "conntrack-full", "neigh-overflow", "forward-blocked")
	}
	stop()
	add(t, "service-rules-missing", 0)
	for _, tt := range []struct{ remove, restore string }{
		{"ipvsadm -D -u " + lab.DNSAddress + ":53", "ipvsadm -A -u " + lab.DNSAddress + ":53 -s rr; ipvsadm -a -u " + lab.DNSAddress + ":53 -r 10.244.1.2:53 -m"},
		{"ip addr del " + lab.DNSAddress + "/32 dev kube-ipvs0", "ip addr add " + lab.DNSAddress + "/32 dev kube-ipvs0"},
	} {
		sh(t, tt.remove)
		r := audit(t).Want("critical service-rules-missing kube-proxy")
		if f := r.Find("service-rules-missing"); !strings.Contains(f.Message, "kube-dns") {
			t.Errorf("the message does not name the Service: %s", f.Message)
		}
		add(t, "service-rules-missing", 104)
		sh(t, tt.restore) // what kube-proxy does when it runs again, as the advice says
		audit(t).Want().Judged("service-rules-missing")
	}
}

// TestProxyModeLeftover changes the mode from IPVS to iptables, between which kube-proxy removes nothing.
func TestProxyModeLeftover(t *testing.T) {
	bridged(t)
	proxy(t, "ipvs", ipvsReady)()
	stop := proxy(t, "iptables", iptablesReady)
	audit(t).Want("warning proxy-mode-leftover kube-proxy ipvs")
	stop()
	// What the advice says: kube-proxy --cleanup, then kube-proxy again. On Linux 6.1 it leaves chains that it cannot delete, and ends with an error.
	if out, err := lab.Shell("kube-proxy --cleanup 2>&1"); err != nil {
		t.Logf("%v: %s", err, out)
	}
	cleanup(t)
	proxy(t, "iptables", iptablesReady)()
	t.Cleanup(func() { cleanup(t) })
	audit(t).Want().Judged("proxy-mode-leftover", "service-rules-missing")
}
