package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// configuredMTU finds a CNI configuration that gives new pods more than the tunnel carries.
func configuredMTU(s *facts.Snapshot, tunnel *facts.Link) (check.Finding, bool) {
	mtu, source := mtuForPods(s)
	if tunnel == nil || mtu <= tunnel.MTU {
		return check.Finding{}, false
	}
	severity := check.Warning
	if dualStackMTU(s, tunnel, mtu) {
		severity = check.Info
	}
	return check.Finding{
		Severity: severity,
		On:       s.Host.Ref(tunnel),
		Message:  fmt.Sprintf("new pods get MTU %d, but the tunnel %s carries %d: their large packets depend on ICMP to get through", mtu, tunnel.Name, tunnel.MTU),
		Evidence: []check.Evidence{
			{Fact: source, Got: fmt.Sprint(mtu), Want: fmt.Sprintf("at most %d", tunnel.MTU)},
			{Fact: "MTU of " + tunnel.Name, Got: fmt.Sprint(tunnel.MTU)},
		},
		Fixes: []fix.Fix{{
			Title: fmt.Sprintf("let the CNI give pods MTU %d", tunnel.MTU),
			Advice: []string{
				fmt.Sprintf("set the MTU %d in the CNI's configuration (flannel: Backend.MTU in net-conf.json of the ConfigMap kube-flannel-cfg; the bridge plugin: mtu in %s)", tunnel.MTU, confDir(s)),
				"restart the CNI's pod on the node, then delete the node's pods in turn",
			},
		}},
	}, true
}

// mtuForPods is the MTU that the running CNI gives new pods, and where it says so; 0 where it says nothing.
func mtuForPods(s *facts.Snapshot) (mtu int, source string) {
	main := mainPlugin(running(s.CNI))
	switch {
	case main.MTU > 0:
		return main.MTU, "mtu of plugin " + main.Type + " in " + running(s.CNI).Name
	case main.Type == "flannel" && s.CNI.Flannel != nil:
		return s.CNI.Flannel.MTU, "FLANNEL_MTU in /run/flannel/subnet.env"
	}
	return 0, ""
}

func confDir(s *facts.Snapshot) string {
	if s.CNI == nil || s.CNI.Dir == "" {
		return "/etc/cni/net.d"
	}
	return s.CNI.Dir
}
