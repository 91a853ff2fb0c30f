package checks_test

import (
	"net/netip"
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
)

// TestPodCIDRBehindTheBridge holds that a bridge of which cni0-wrong-address says that no pod can be made is not also said to give pods a foreign subnet.
func TestPodCIDRBehindTheBridge(t *testing.T) {
	for _, k := range load(t, "podcidr-route") {
		if k.Name != "fires-other-lease-k3s" {
			continue
		}
		for _, tt := range []struct{ address, want string }{{"10.244.7.1/24", "podcidr-route"}, {"10.244.9.1/24", "cni0-wrong-address"}} {
			s, err := k.Snapshot.Clone()
			if err != nil {
				t.Fatal(err)
			}
			s.Kinds = append(s.Kinds, facts.KindPodLinks, facts.KindAddresses)
			s.Host.Addresses = []facts.Address{{Link: 4, Prefix: netip.MustParsePrefix(tt.address), Scope: "global", Permanent: true}}
			r := check.Run(s, []*check.Check{checks.CNI0WrongAddress, checks.PodCIDRRoute})
			if len(r.Findings) != 1 || r.Findings[0].Check != tt.want {
				t.Errorf("cni0 has %s: %v; want one finding, of %s", tt.address, r.Findings, tt.want)
			}
		}
		return
	}
	t.Fatal("the case is gone")
}
