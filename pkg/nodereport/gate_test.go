package nodereport

import (
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

func TestGate(t *testing.T) {
	settled := finding("service-rules-missing", "kube-proxy", "no rules", check.Critical)
	unsettled := settled
	unsettled.Settled = false
	ignored := settled
	ignored.Ignored = true
	young := node()
	young.Proxy.Age = 5
	with := func(d *status.Document, change func(*status.Document)) *status.Document {
		change(d)
		return d
	}
	for _, tt := range []struct {
		name      string
		d         *status.Document
		s         *facts.Snapshot
		pass, bar bool
	}{
		{"proven", document(), node(), true, false},
		{"critical of another check", document(finding("tunnel-tx-checksum", "x", "x", check.Critical)), node(), true, false},
		{"a warning", document(finding("service-rules-missing", "x", "x", check.Warning)), node(), true, false},
		{"ignored", document(ignored), node(), true, false},
		{"settled", document(settled), node(), false, true},
		{"no new pod can be added", document(finding("cni0-wrong-address", "x", "x", check.Critical)), node(), false, true},
		{"another network takes pods' addresses", document(finding("podcidr-route", "x", "x", check.Critical)), node(), false, true},
		{"not settled", document(unsettled), node(), false, false},
		{"settled behind one that is not", document(finding("a", "", "", 0), unsettled, settled), node(), false, true},
		{"not ready", with(document(settled), func(d *status.Document) { d.Ready = false }), node(), false, false},
		{"stopping", with(document(settled), func(d *status.Document) { d.State = status.Stopping }), node(), false, false},
		{"not all read", with(document(), func(d *status.Document) { d.State = status.Unproven }), node(), false, false},
		{"kube-proxy is young", document(), young, false, false},
		{"nothing read", document(), nil, false, false},
	} {
		g := GateOf(tt.d, tt.s)
		if g.Pass != tt.pass || g.Bar != tt.bar || g.Pass == (g.Why != "") {
			t.Errorf("%s: %+v; want pass %t, bar %t, and a reason unless it passes", tt.name, g, tt.pass, tt.bar)
		}
	}
}
