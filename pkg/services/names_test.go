package services

import (
	"net/netip"
	"strings"
	"testing"
)

// The wanted values are those of kube-proxy's own comments and tests, and of rules that it wrote.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, got, want string }{
		{"api server", PortHash("default/kubernetes:https", "tcp"), "NPX46M4PTMTKRN6Y"},
		{"dns", PortHash("kube-system/kube-dns:dns", "udp"), "TCOU7JCQXEZGVUNU"},
		{"dns over tcp", PortHash("kube-system/kube-dns:dns-tcp", "tcp"), "ERIFXISQEP7F7OF4"},
		{"endpoint", EndpointHash("ns1/svc1:p80", "tcp", netip.MustParseAddrPort("10.180.0.1:80")), "SXIVWICOYRO3J4NJ"},
		{"nft port", NFTPort("ns1/svc1:p80", "tcp"), "ULMVA6XW-ns1/svc1/tcp/p80"},
		{"nft port without a name", NFTPort("ns1/svc1", "tcp")[8:], "-ns1/svc1/tcp/"},
		{"nft endpoint", NFTEndpoint("ns1/svc1:p80", "tcp", netip.MustParseAddrPort("10.180.0.1:80")), "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80"},
		{"nft endpoint of IPv6", NFTEndpoint("ns1/svc1:p80", "tcp", netip.MustParseAddrPort("[fd00::1]:80"))[8:], "-ns1/svc1/tcp/p80__fd00..1/80"},
		{"no namespace", NFTPort("kubernetes", "tcp"), ""},
		{"endpoint of no namespace", NFTEndpoint("kubernetes", "tcp", netip.MustParseAddrPort("10.0.0.1:1")), ""},
		{"port", PortName("ns1/svc1", "p80"), "ns1/svc1:p80"},
		{"port without a name", PortName("ns1/svc1", ""), "ns1/svc1"},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, tt.got, tt.want)
		}
	}
	long := NFTPort("ns/"+strings.Repeat("x", 300)+":p", "tcp")
	if len(long) != longestBase || !strings.HasSuffix(long, "...") {
		t.Errorf("NFTPort of a long name has %d letters and ends in %q", len(long), long[len(long)-3:])
	}
}
