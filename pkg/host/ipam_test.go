package host

import (
	"math"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestRangeSize(t *testing.T) {
	for _, tt := range []struct {
		name string
		conf cniObject
		want uint64 // 0: refused
	}{
		{"/24", cniObject{"subnet": "10.0.0.0/24"}, 253},
		{"/30", cniObject{"subnet": "10.0.0.0/30"}, 1},
		{"/31", cniObject{"subnet": "10.0.0.0/31"}, 0},
		{"part", cniObject{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.19"}, 10},
		{"gateway in the part", cniObject{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.10", "rangeEnd": "10.0.0.19", "gateway": "10.0.0.15"}, 9},
		{"gateway at the end", cniObject{"subnet": "10.0.0.0/24", "gateway": "10.0.0.254"}, 253},
		{"start alone", cniObject{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.250"}, 5},
		{"start elsewhere", cniObject{"subnet": "10.0.0.0/24", "rangeStart": "10.0.1.1"}, 0},
		{"backwards", cniObject{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"}, 0},
		{"host bits", cniObject{"subnet": "10.0.0.1/24"}, 0},
		{"IPv6 /120", cniObject{"subnet": "fd00::/120"}, 254},
		{"IPv6 /64", cniObject{"subnet": "fd00::/64"}, math.MaxInt64},
		{"IPv6 /56", cniObject{"subnet": "fd00::/56"}, math.MaxInt64},
		{"no subnet", cniObject{"rangeStart": "10.0.0.1"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, ok := parseRange(tt.conf)
			if ok != (tt.want != 0) {
				t.Fatalf("parseRange = %+v, %v; want accepted %v", r, ok, tt.want != 0)
			}
			if ok && r.size() != tt.want {
				t.Errorf("size of %+v = %d; want %d", r, r.size(), tt.want)
			}
		})
	}
}

func TestIPAM(t *testing.T) {
	h := tree(t, map[string]string{
		"etc/cni/net.d/10-pods.conflist":               bridgeConflist,
		"etc/cni/net.d/20-one.conf":                    `{"name":"one","type":"bridge","ipam":{"type":"host-local","subnet":"10.1.0.0/24"}}`,
		"run/ipam/pods/10.244.1.2":                     "0123abcd\r\neth0",
		"run/ipam/pods/10.244.1.10":                    "old-form\n",
		"run/ipam/pods/fd00:1::2":                      "0123abcd\r\neth0",
		"run/ipam/pods/last_reserved_ip.0":             "10.244.1.10",
		"run/ipam/pods/lock":                           "x",
		"run/ipam/pods/10.244.1.3.json":                "{}",
		"run/ipam/pods/sub/10.244.1.9":                 "x",
		"var/lib/cni/networks/one/10.1.0.2":            strings.Repeat("x", 2*maxReservation),
		"var/lib/cni/networks/gone/10.9.0.2":           "id\r\neth0",
		"var/lib/cni/networks/file":                    "x",
		"var/lib/cni/networks/one/fe80::1%eth0":        "x",
		"var/lib/cni/networks/one/not-an-address":      "x",
		"var/lib/cni/networks/one/last_reserved_ip.10": "x",
	})
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(h.Path("run/ipam/pods/10.244.1.2"), old, old); err != nil {
		t.Fatal(err)
	}
	got, err := h.IPAM()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Networks {
		for j := range got.Networks[i].Reservations {
			r := &got.Networks[i].Reservations[j]
			if want := map[bool]int64{true: 3600}[r.IP.String() == "10.244.1.2"]; r.Age < want || r.Age > want+60 {
				t.Errorf("age of %s is %d s; want about %d", r.IP, r.Age, want)
			}
			r.Age = 0
			r.ID = r.ID[:min(len(r.ID), 8)]
		}
	}
	reserved := func(ip, id, link string) facts.Reservation {
		return facts.Reservation{IP: netip.MustParseAddr(ip), ID: id, IfName: link}
	}
	want := &facts.IPAM{Networks: []facts.IPAMNetwork{
		{Name: "gone", Dir: "/var/lib/cni/networks/gone", Reservations: []facts.Reservation{reserved("10.9.0.2", "id", "eth0")}},
		{
			Name: "one", Dir: "/var/lib/cni/networks/one", Subnets: prefixes("10.1.0.0/24"), Capacity: 253,
			Reservations: []facts.Reservation{reserved("10.1.0.2", "xxxxxxxx", "")},
		},
		{
			Name: "pods", Dir: "/run/ipam/pods", Subnets: prefixes("10.244.1.0/24"), Capacity: 253,
			Reservations: []facts.Reservation{reserved("10.244.1.2", "0123abcd", "eth0"), reserved("10.244.1.10", "old-form", "")},
		},
		{
			Name: "pods", Dir: "/run/ipam/pods", Subnets: prefixes("fd00:1::/64"), Capacity: math.MaxInt64,
			Reservations: []facts.Reservation{reserved("fd00:1::2", "0123abcd", "eth0")},
		},
	}}
	if d := gocmp.Diff(want, got, sameAddress); d != "" {
		t.Errorf("IPAM (-want +got):\n%s", d)
	}
}

func TestIPAMNothing(t *testing.T) {
	if got, err := tree(t, nil).IPAM(); err != nil || got == nil || got.Networks != nil {
		t.Errorf("IPAM = %+v, %v; want none", got, err)
	}
}

func FuzzReservation(f *testing.F) {
	f.Add("0123\r\neth0")
	f.Add("\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := parseReservation(text)
		if strings.TrimSpace(r.ID) != r.ID || strings.TrimSpace(r.IfName) != r.IfName {
			t.Errorf("parseReservation(%q) = %+v", text, r)
		}
	})
}
