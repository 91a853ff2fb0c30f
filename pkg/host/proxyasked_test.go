package host

import (
	"net/netip"
	"os"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// TestParseConfigz reads what a kube-proxy of version 1.35.4 answered.
func TestParseConfigz(t *testing.T) {
	body, err := os.ReadFile("testdata/configz.json")
	if err != nil {
		t.Fatal(err)
	}
	bit, yes := 14, true
	want := &facts.ProxyConfig{
		Mode: "iptables", ClusterCIDRs: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}, DetectLocal: "ClusterCIDR", MasqueradeBit: &bit, LocalhostNodePorts: &yes,
		SyncPeriod: 30, MinSyncPeriod: 1, BindAddress: netip.MustParseAddr("0.0.0.0"), NodeName: "node1", ExcludeCIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, StrictARP: true,
	}
	got, port := parseConfigz(answer{200, body})
	if d := gocmp.Diff(want, got, gocmp.Comparer(func(a, b netip.Addr) bool { return a == b }), gocmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("parseConfigz (-want +got):\n%s", d)
	}
	if port != 10300 {
		t.Errorf("parseConfigz: health port %d; want 10300", port)
	}
	for _, a := range []answer{{404, body}, {200, []byte("{}")}, {200, body[:len(body)/2]}} {
		if got, port := parseConfigz(a); got != nil || port != healthPort {
			t.Errorf("parseConfigz(%d, %.20s) = %v, %d; want none", a.status, a.body, got, port)
		}
	}
}

func TestParseSyncTimes(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, tt := range []struct {
		name, text string
		want       facts.ProxyState
	}{
		{"at rest", `kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} 9.9e+02
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 990.5
`, facts.ProxyState{Queued: 10, Synced: 10}},
		{"one family waits", `kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} 990
kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv6"} 995
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 991
kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv6"} 960
`, facts.ProxyState{Pending: true, Queued: 10, Synced: 40}},
		{"before the first sync", "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 999\n", facts.ProxyState{Pending: true, Queued: 1}},
		{"without families", "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 900\nkubeproxy_sync_proxy_rules_last_timestamp_seconds 901\n", facts.ProxyState{Queued: 100, Synced: 99}},
		{"nothing of it", "# HELP x\nkubeproxy_sync_proxy_rules_last_queued_timestamp_seconds NaN\n", facts.ProxyState{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got facts.ProxyState
			parseSyncTimes(answer{200, []byte(tt.text)}, now, &got)
			if d := gocmp.Diff(tt.want, got); d != "" {
				t.Errorf("parseSyncTimes (-want +got):\n%s", d)
			}
		})
	}
}

func TestParseLivez(t *testing.T) {
	for _, tt := range []struct {
		answer answer
		want   string
	}{
		{answer{200, []byte(`{"healthy":true}`)}, "live"}, {answer{503, []byte(`{"healthy":false}`)}, "not live"},
		{answer{404, []byte("404 page not found")}, "unknown"}, {answer{200, []byte("ok")}, "unknown"},
	} {
		got := "unknown"
		if live := parseLivez(tt.answer); live != nil {
			got = map[bool]string{true: "live", false: "not live"}[*live]
		}
		if got != tt.want {
			t.Errorf("parseLivez(%d, %s) = %s; want %s", tt.answer.status, tt.answer.body, got, tt.want)
		}
	}
}

func FuzzProxyAnswers(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\n{\"kubeproxy.config.k8s.io\":{\"Mode\":\"ipvs\",\"SyncPeriod\":\"30s\",\"HealthzBindAddress\":\"[::]:1\"}}"))
	f.Add([]byte("HTTP/1.1 503 x\r\n\r\nkubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"} 1e300\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := parseAnswer(data)
		if err != nil {
			return
		}
		a.status = 200
		var s facts.ProxyState
		parseSyncTimes(a, time.Unix(1<<31, 0), &s)
		parseLivez(a)
		if _, port := parseConfigz(a); port <= 0 || port > 65535 {
			t.Errorf("health port %d", port)
		}
	})
}
