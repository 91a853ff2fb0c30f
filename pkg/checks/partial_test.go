package checks_test

import (
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/checks/internal/cases"
	"github.com/netmend/netmend/pkg/facts"
)

// forgetters take one kind of facts out of a snapshot, as if it could not have been read.
func forgetters() map[facts.Kind]func(*facts.Snapshot) {
	inAll := func(forget func(*facts.Namespace)) func(*facts.Snapshot) {
		return func(s *facts.Snapshot) {
			forget(&s.Host)
			for i := range s.Pods {
				forget(&s.Pods[i])
			}
		}
	}
	return map[facts.Kind]func(*facts.Snapshot){
		facts.KindAddresses:      inAll(func(n *facts.Namespace) { n.Addresses = nil }),
		facts.KindRoutes:         inAll(func(n *facts.Namespace) { n.Routes = nil }),
		facts.KindRules:          inAll(func(n *facts.Namespace) { n.Rules = nil }),
		facts.KindNeighbours:     inAll(func(n *facts.Namespace) { n.Neighbours = nil }),
		facts.KindFDB:            inAll(func(n *facts.Namespace) { n.FDB = nil }),
		facts.KindSysctls:        inAll(func(n *facts.Namespace) { n.Sysctls = nil }),
		facts.KindCounters:       inAll(func(n *facts.Namespace) { n.Counters = nil }),
		facts.KindSockets:        inAll(func(n *facts.Namespace) { n.UDPSockets, n.Listeners = nil, nil }),
		facts.KindConntrack:      inAll(func(n *facts.Namespace) { n.Conntrack = nil }),
		facts.KindTunnelNAT:      inAll(func(n *facts.Namespace) { n.TunnelNAT = nil }),
		facts.KindNFTables:       inAll(func(n *facts.Namespace) { n.Tables = nil }),
		facts.KindIPVS:           inAll(func(n *facts.Namespace) { n.IPVS = nil }),
		facts.KindPods:           func(s *facts.Snapshot) { s.Pods = nil },
		facts.KindNeighbourTable: func(s *facts.Snapshot) { s.NeighbourTable = nil },
		facts.KindServiceVIPs:    func(s *facts.Snapshot) { s.ServiceVIPs = nil },
		facts.KindProxy:          func(s *facts.Snapshot) { s.Proxy = nil },
		facts.KindCNIConfig:      func(s *facts.Snapshot) { s.CNI = nil },
		facts.KindIPAM:           func(s *facts.Snapshot) { s.IPAM = nil },
		facts.KindAgents:         func(s *facts.Snapshot) { s.Agents = nil },
	}
}

// TestHealthyNodesReadInPart holds that what could not be read never counts as broken.
func TestHealthyNodesReadInPart(t *testing.T) {
	for _, k := range load(t, cases.Healthy) {
		for kind, forget := range forgetters() {
			s, err := k.Snapshot.Clone()
			if err != nil {
				t.Fatal(err)
			}
			forget(s)
			s.Missing = map[facts.Kind]string{kind: "permission denied"}
			t.Run(k.Name+" without "+string(kind), func(t *testing.T) { testHealthy(t, check.Run(s, checks.All())) })
		}
	}
}

// TestHealthyNodesWithoutIntent holds the same for nodes of which nobody told what they are for.
func TestHealthyNodesWithoutIntent(t *testing.T) {
	for _, k := range load(t, cases.Healthy) {
		s, err := k.Snapshot.Clone()
		if err != nil {
			t.Fatal(err)
		}
		s.Intent, s.Window = facts.Intent{}, nil
		t.Run(k.Name, func(t *testing.T) { testHealthy(t, check.Run(s, checks.All())) })
	}
}
