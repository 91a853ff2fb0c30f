package services

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestLikely(t *testing.T) {
	end := func(addr string, ready, serving bool) facts.Endpoint {
		return facts.Endpoint{Addr: netip.MustParseAddr(addr), Ready: ready, Serving: serving, Terminating: !ready}
	}
	ports := []facts.EndpointPort{{Name: "http", Protocol: "tcp", Port: 8080}, {Protocol: "tcp", Port: 81}}
	l := NewLikely(&facts.Cluster{Slices: []facts.EndpointSlice{
		{Service: "ns/a", Family: 4, Ports: ports, Endpoints: []facts.Endpoint{end("10.244.0.9", true, true), end("10.244.0.2", true, true), end("10.244.0.3", false, true)}},
		{Service: "ns/a", Family: 4, Ports: ports, Endpoints: []facts.Endpoint{end("10.244.0.2", true, true), end("10.244.0.1", true, true)}},
		{Service: "ns/a", Family: 6, Ports: ports, Endpoints: []facts.Endpoint{end("fd00::1", true, true)}},
		{Service: "ns/b", Family: 4, Ports: ports, Endpoints: []facts.Endpoint{end("10.244.0.4", false, true), end("10.244.0.5", false, false)}},
		{Service: "ns/c", Family: 4, Ports: ports, Headless: true, Endpoints: []facts.Endpoint{end("10.244.0.6", true, true)}},
		{Service: "ns/d", Family: 4, Ports: ports, Proxy: "other", Endpoints: []facts.Endpoint{end("10.244.0.7", true, true)}},
	}}, sha256.Sum256)
	for _, tt := range []struct {
		name   string
		family int
		want   string
	}{
		{"ns/a/tcp/http", 4, "[10.244.0.1:8080 10.244.0.2:8080 10.244.0.9:8080]"},
		{"ns/a/tcp/", 4, "[10.244.0.1:81 10.244.0.2:81 10.244.0.9:81]"},
		{"ns/a/tcp/http", 6, "[[fd00::1]:8080]"},
		{"ns/b/tcp/http", 4, "[10.244.0.4:8080]"},
		{"ns/a/udp/http", 4, "[]"},
		{"ns/c/tcp/http", 4, "[]"},
		{"ns/d/tcp/http", 4, "[]"},
		{"ns/none/tcp/http", 4, "[]"},
		{"ns/a/tcp", 4, "[]"},
		{"", 4, "[]"},
	} {
		if d := cmp.Diff(tt.want, fmt.Sprint(l.Endpoints(nil, tt.name, tt.family))); d != "" {
			t.Errorf("Endpoints(%q, %d) (-want +got):\n%s", tt.name, tt.family, d)
		}
	}
	kept := []netip.AddrPort{netip.MustParseAddrPort("10.244.0.9:1")}
	if got := l.Endpoints(kept, "ns/b/tcp/http", 4); len(got) != 2 || got[0] != kept[0] {
		t.Errorf("Endpoints changes what it appends to: %v", got)
	}
	if got := NewLikely(nil, nil).Endpoints(nil, "ns/a/tcp/http", 4); got != nil {
		t.Errorf("Endpoints of no cluster = %v", got)
	}
	at := netip.MustParseAddrPort("10.180.0.1:80")
	for _, l := range []*Likely{l, NewLikely(&facts.Cluster{}, nil)} {
		if got, want := string(l.AppendName(nil, "ns1/svc1/tcp/p80", at)), NFTPrefixEndpoint+NFTEndpoint("ns1/svc1:p80", "tcp", at); got != want {
			t.Errorf("AppendName = %s; want %s", got, want)
		}
	}
}
