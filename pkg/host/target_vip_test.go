package host

import (
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// TestBriefServices asks for Services by their names alone, as on a node whose files do not tell their addresses.
func TestBriefServices(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(kubeProxyNFT)
	both, outside := services.NFTPort("ns1/both:p80", "tcp"), services.NFTPort("ns1/outside:p80", "tcp")
	sh("nft -f - <<'END'\ntable ip kube-proxy {\n" +
		"chain service-" + both + " {\ncounter\n}\nchain external-" + both + " {\ngoto service-" + both + "\n}\n" +
		"chain service-" + outside + " {\ncounter\n}\nchain external-" + outside + " {\ngoto service-" + outside + "\n}\n}\n" +
		"add element ip kube-proxy service-ips { 10.96.0.8 . tcp . 80 : goto service-" + both + " }\nEND\n")
	sh("nft add chain ip kube-proxy service-" + services.NFTPort("ns1/cut:p80", "tcp"))
	for _, tt := range []vipCase{
		{"name", service("default/kubernetes:https", "", "tcp", 443), true, false},
		{"name with a local policy", service("ns1/svc1:p80", "", "tcp", 80), true, false},
		{"name of a Service that is reached from outside too", service("ns1/both:p80", "", "tcp", 80), true, false},
		{"name of a chain that only traffic from outside is led to", service("ns1/outside:p80", "", "tcp", 80), false, false},
		{"name of a chain that nothing leads to", service("ns1/cut:p80", "", "tcp", 80), false, false},
		{"name without endpoints", service("kube-system/kube-dns:dns", "", "udp", 53), true, true},
		{"name missing", service("kube-system/kube-dns:dns-tcp", "", "tcp", 53), false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := inNS(t, h, func() (*BriefServices, error) {
				return h.Node().BriefServices([]facts.ServiceIntent{tt.service}, false)
			})
			if got.Proxy.Mode != facts.ModeNFTables || len(got.Left) != 0 || len(got.VIPs) != 1 || got.VIPs[0].Found != tt.found || got.VIPs[0].NoEndpoints != tt.noEndpoints {
				t.Errorf("BriefServices = %+v; want found %v, no endpoints %v in %s mode, and nothing left out", got, tt.found, tt.noEndpoints, facts.ModeNFTables)
			}
		})
	}
}
