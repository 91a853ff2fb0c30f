package nodereport

import (
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/status"
)

// gate are the checks that a node must pass before pods may land on it: what they find, every new pod suffers from. That of the bridge's address is among them
// because it mutes podcidr-route there.
func gate() []string {
	return []string{
		checks.ServiceRulesMissing.Name, checks.TunnelMTUOverUplink.Name, checks.PodMTUMismatch.Name, checks.CNIConfOrder.Name, checks.PodCIDRRoute.Name,
		checks.CNI0WrongAddress.Name,
	}
}

// Gate is what decides about the startup taint.
type Gate struct {
	Pass bool   // pods may land
	Bar  bool   // pods must not land: something critical that they would suffer from has lasted
	Why  string // the node does not pass
}

// GateOf judges a node. One of which something could not be read neither passes nor is barred, and so is one whose kube-proxy has just begun.
func GateOf(d *status.Document, s *facts.Snapshot) Gate {
	names := gate()
	var g Gate
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Severity != check.Critical || f.Ignored || !slices.Contains(names, f.Check) {
			continue
		}
		if bar := d.Ready && f.Settled && Told(d.State); g.Why == "" || bar && !g.Bar {
			g = Gate{Bar: bar, Why: f.Check + ": " + short(f.Message, maxMessage)}
		}
	}
	if g.Why != "" {
		return g
	}
	switch {
	case !d.Ready || s == nil || !Told(d.State):
		return Gate{Why: "the node is not audited yet"}
	case d.State == status.Unproven:
		return Gate{Why: "not all of the node could be read"}
	}
	if why := checks.ServicesPending(s); why != "" {
		return Gate{Why: why}
	}
	return Gate{Pass: true}
}
