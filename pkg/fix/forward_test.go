package fix

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSetSysctl(t *testing.T) {
	const off4, cni4, redirects = "net/ipv4/ip_forward", "net/ipv4/conf/cni0.5/forwarding", "net/ipv4/conf/all/accept_redirects"
	const off6, cni6 = "net/ipv6/conf/all/forwarding", "net/ipv6/conf/cni0/forwarding"
	before := map[string]string{off4: "0", cni4: "0", redirects: "1", off6: "0", cni6: "0", "net/ipv4/conf/cni0.5/rp_filter": "0"}
	for _, tt := range []struct {
		name    string
		key, to string
		change  map[string]string
	}{
		{"IPv4 of the namespace", off4, "1", map[string]string{off4: "1", cni4: "1", redirects: "0"}},
		{"IPv4 of the namespace, as it is", off4, "0", nil},
		{"IPv4 of a link", cni4, "1", map[string]string{cni4: "1"}},
		{"IPv6 of the namespace", off6, "1", map[string]string{off6: "1", cni6: "1"}},
		{"another value", "net/ipv4/conf/cni0.5/rp_filter", "2", map[string]string{"net/ipv4/conf/cni0.5/rp_filter": "2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, want := maps.Clone(before), maps.Clone(before)
			maps.Copy(want, tt.change)
			setSysctl(got, tt.key, tt.to)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("setSysctl(%s, %s) (-want +got):\n%s", tt.key, tt.to, d)
			}
			setSysctl(got, tt.key, before[tt.key])
			if d := cmp.Diff(before, got); d != "" {
				t.Errorf("undone (-want +got):\n%s", d)
			}
		})
	}
}
