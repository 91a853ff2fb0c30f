package checks

import (
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
)

// ServicesPending says why kube-proxy may not have written its first rules yet; empty where it has, or somebody else carries Services.
func ServicesPending(s *facts.Snapshot) string {
	p := s.Proxy
	switch {
	case p == nil:
		p = &facts.Proxy{}
	case p.Replaced != "":
		return ""
	}
	return rulesPending(s, p)
}

func rulesPending(s *facts.Snapshot, p *facts.Proxy) string {
	running := agentAge(s, "kube-proxy")
	written := p.State != nil && p.State.Synced > 0 && !p.State.Pending // its first rules: it says so itself
	switch {
	case !written && p.Age > 0 && p.Age < youngAge:
		return fmt.Sprintf("kube-proxy has run for %d s: rules may be pending", p.Age)
	case !written && running != nil && *running < youngAge:
		return fmt.Sprintf("kube-proxy has run for %d s: rules may be pending", *running)
	}
	if age := agentAge(s, "kubelet"); p.Mode == "" && age != nil && *age < youngAge {
		return fmt.Sprintf("kubelet has run for %d s: kube-proxy may be starting", *age)
	}
	return ""
}
