package plugin

import (
	"slices"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
)

// codeUnjudged is the error code of a pod that could not be judged where failurePolicy is Fail. The codes of the checks follow it.
const codeUnjudged = 100

// codeNotReady is the CNI specification's code for STATUS: the plugin cannot serve ADD.
const codeNotReady = 50

// addCheck is a check that is made when a pod is added.
type addCheck struct {
	code  uint // of the CNI error that refuses the pod; permanent
	check *check.Check
}

// addChecks is the table of them. Codes are never used again for another check.
func addChecks() []addCheck {
	return []addCheck{
		{101, checks.PodMTUMismatch},
		{102, checks.TunnelMTUOverUplink},
		{103, checks.TunnelTxChecksum},
		{104, checks.ServiceRulesMissing},
		{105, checks.DuplicateIPLocal},
		{106, checks.PodDefaultRoute},
		{107, checks.IPv6DADFailed},
		{108, checks.IPv6Pod},
		{109, checks.DHCPStaticSameNIC},
		{110, checks.VTEPIdentity},
		{111, checks.CNI0WrongAddress},
		{112, checks.IPForward},
		{113, checks.CNIConfOrder},
		{114, checks.ConntrackFull},
		{115, checks.NeighOverflow},
		{116, checks.Hairpin},
		{117, checks.DuplicateIPLAN},
	}
}

// codeOf is the error code of a check by its name; 0 for one that is not made here.
func codeOf(name string) uint {
	for _, a := range addChecks() {
		if a.check.Name == name {
			return a.code
		}
	}
	return 0
}

// gateable says whether a check can be judged without a pod.
func gateable(name string) bool {
	for _, a := range addChecks() {
		if a.check.Name == name {
			return !slices.Contains(a.check.Needs, facts.KindPods)
		}
	}
	return false
}

// mendable says whether a pod may be mended before it starts.
func mendable(name string) bool {
	return name == checks.PodMTUMismatch.Name || name == checks.Hairpin.Name || name == checks.IPv6Pod.Name
}

// wanted gives the checks that are on and that approve lets through.
func (c *Config) wanted(approve func(string) bool) (list []*check.Check) {
	for _, a := range addChecks() {
		if c.modeOf(a.check.Name) != ModeOff && approve(a.check.Name) {
			list = append(list, a.check)
		}
	}
	return list
}

// kindsOf is what the checks need and want.
func kindsOf(list []*check.Check) []facts.Kind {
	kinds := make([]facts.Kind, 0, 32)
	add := func(more ...facts.Kind) {
		for _, k := range more {
			if !slices.Contains(kinds, k) {
				kinds = append(kinds, k)
			}
		}
	}
	for _, c := range list {
		add(c.Needs...)
		add(c.Wants...)
		if c.Pods {
			add(facts.KindPods)
		}
	}
	return kinds
}
