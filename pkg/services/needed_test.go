package services

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

func TestNeeded(t *testing.T) {
	dnsPorts := []facts.ServicePort{{Name: "dns", Protocol: "udp", Port: 53}, {Name: "dns-tcp", Protocol: "tcp", Port: 53}, {Name: "metrics", Protocol: "tcp", Port: 9153}}
	c := &facts.Cluster{All: []facts.Service{
		{Name: "default/kubernetes", ClusterIPs: addrs("10.96.0.1"), Ports: []facts.ServicePort{{Name: "https", Protocol: "tcp", Port: 443}}},
		{Name: "default/web", ClusterIPs: addrs("10.96.0.7"), Ports: []facts.ServicePort{{Port: 80, Protocol: "tcp"}}},
		{Name: "kube-system/coredns", ClusterIPs: addrs("10.96.0.10", "fd00::a"), Ports: dnsPorts},
	}}
	guess := []facts.ServiceIntent{{VIP: addrs("10.96.0.10")[0]}, {}}
	for _, tt := range []struct {
		name  string
		guess []facts.ServiceIntent
		want  string
	}{
		{"by its name alone", nil, "default/kubernetes:https 10.96.0.1 443/tcp"},
		{"by the address that kubelet tells pods", guess, "default/kubernetes:https 10.96.0.1 443/tcp, kube-system/coredns:dns 10.96.0.10 53/udp, kube-system/coredns:dns-tcp 10.96.0.10 53/tcp, " +
			"kube-system/coredns:dns fd00::a 53/udp, kube-system/coredns:dns-tcp fd00::a 53/tcp"},
		{"as it was told before", Needed(c, guess), "default/kubernetes:https 10.96.0.1 443/tcp, kube-system/coredns:dns 10.96.0.10 53/udp, kube-system/coredns:dns-tcp 10.96.0.10 53/tcp, " +
			"kube-system/coredns:dns fd00::a 53/udp, kube-system/coredns:dns-tcp fd00::a 53/tcp"},
	} {
		var got []string
		for _, s := range Needed(c, tt.guess) {
			got = append(got, fmt.Sprintf("%s %s %d/%s", s.Name, s.VIP, s.Port, s.Protocol))
			if s.Source != facts.SourceAPI {
				t.Errorf("%s: the source of %s is %q", tt.name, s.Name, s.Source)
			}
		}
		if text := strings.Join(got, ", "); text != tt.want {
			t.Errorf("%s: %s; want %s", tt.name, text, tt.want)
		}
	}
	c.All = slices.Repeat(c.All, 100)
	if n := len(Needed(c, guess)); n != maxNeeded {
		t.Errorf("of many there are %d; want %d", n, maxNeeded)
	}
}

func TestWriting(t *testing.T) {
	for _, tt := range []struct {
		config *facts.ProxyConfig
		want   time.Duration
	}{{nil, settling}, {&facts.ProxyConfig{}, settling}, {&facts.ProxyConfig{MinSyncPeriod: 10}, settling + 20*time.Second}, {&facts.ProxyConfig{MinSyncPeriod: 1e9}, settling + time.Minute}} {
		if got := Writing(tt.config); got != tt.want || got.Seconds() >= facts.RecentFor {
			t.Errorf("Writing(%+v) = %s; want %s, and less than %d s", tt.config, got, tt.want, facts.RecentFor)
		}
	}
}
