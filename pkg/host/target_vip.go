package host

import (
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// ErrDear says that a look-up would have to read all of kube-proxy's rules, which takes longer than a pod can wait.
var ErrDear = errors.New("only the daemon reads that: it takes too long while a pod waits")

// BriefServices is what single questions tell of kube-proxy's rules.
type BriefServices struct {
	Proxy facts.Proxy // mode and what says so; kube-proxy's process was not looked for
	VIPs  []facts.ServiceVIP
	Left  []string // names of the Services that were left out because nothing certain can be said of them
}

// BriefServices looks Services up by single questions, whose cost does not grow with the number of Services: one map element in nftables mode, one chain
// and its few rules in iptables mode, one route and one virtual server in IPVS mode. What that cannot answer is left out. The legacy backend gives ErrDear, because the
// kernel hands its tables out whole only. ipvs says whether the namespace has the link kube-ipvs0. It must be called inside Do.
func (n *NS) BriefServices(services []facts.ServiceIntent, ipvs bool) (*BriefServices, error) {
	v := vipReader{ns: n, brief: true}
	defer v.close()
	b := &BriefServices{}
	if err := v.briefMode(&b.Proxy, ipvs); err != nil {
		return nil, fmt.Errorf("find the mode of kube-proxy: %w", err)
	}
	for _, s := range services {
		found, sure, err := v.briefly(b.Proxy.Mode, s)
		if err != nil {
			return nil, fmt.Errorf("look up service %s: %w", s.Name, err)
		}
		if !sure && b.Proxy.Mode == "" {
			continue // there is nothing to look it up in
		}
		if !sure {
			b.Left = append(b.Left, s.Name)
			continue
		}
		found.ServiceIntent, found.Mode = s, b.Proxy.Mode
		b.VIPs = append(b.VIPs, found)
	}
	return b, nil
}

// briefMode is proxyTraces without what lists every chain or every virtual server.
func (v *vipReader) briefMode(p *facts.Proxy, ipvs bool) error {
	for _, family := range [...]string{"ip", "ip6"} {
		has, err := v.nftTable(family, kubeProxyTable)
		if err != nil {
			return err
		}
		if has {
			p.Mode, p.Source = facts.ModeNFTables, "nft table "+family+" "+kubeProxyTable
			return nil
		}
	}
	if ipvs {
		p.Mode, p.Source = facts.ModeIPVS, ipvsDevice
		return nil
	}
	for _, family := range [...]string{"ip", "ip6"} {
		has, err := v.nftChain(family, "nat", kubeServices)
		if err != nil {
			return err
		}
		if has {
			p.Mode, p.Source = facts.ModeIPTables, "nft chain "+family+" nat "+kubeServices
			return nil
		}
	}
	return v.legacyInUse()
}

// legacyInUse gives ErrDear where the legacy backend has a table for translation.
func (v *vipReader) legacyInUse() error {
	for _, f := range legacyFamilies() {
		names, err := v.ns.legacyNames(f)
		if err != nil {
			return err
		}
		for _, name := range names {
			if name == "nat" {
				return fmt.Errorf("iptables-legacy has rules: %w", ErrDear)
			}
		}
	}
	return nil
}

// briefly looks one Service up. It is not sure where a Service whose name is only presumed was not found, and where the mode cannot tell.
func (v *vipReader) briefly(mode string, s facts.ServiceIntent) (found facts.ServiceVIP, sure bool, err error) {
	guess := s.Name == "" || s.Name != kubernetesService && (s.Source == SourceDefault || s.Source == SourceManifest || s.Source == SourceKubelet)
	switch mode {
	case facts.ModeNFTables:
		if s.Name == "" && !s.VIP.IsValid() {
			return found, false, nil
		}
		found, err = v.lookNFTables(s)
		// An address that kubelet gives to pods must work whatever the Service is called.
		told := s.VIP.IsValid() && (s.Source == SourceKubelet || s.Name == "")
		return found, found.Found || !guess || told, err
	case facts.ModeIPVS:
		if !s.VIP.IsValid() {
			return found, false, nil
		}
		return v.brieflyIPVS(s, guess)
	case facts.ModeIPTables:
		return v.brieflyIPTables(s, guess)
	}
	found.Detail = "nothing of kube-proxy was found"
	return found, s.Name == kubernetesService, nil
}

// brieflyIPVS also looks for iptables mode: where kube-proxy has changed to it and nobody has cleaned up, the link that told of IPVS is still there.
func (v *vipReader) brieflyIPVS(s facts.ServiceIntent, guess bool) (found facts.ServiceVIP, sure bool, err error) {
	found, err = v.lookIPVS(s)
	if err != nil || found.Found {
		return found, true, err
	}
	if rules, _, err := v.brieflyIPTables(s, guess); err != nil || rules.Found {
		return rules, true, err
	}
	return found, !guess || s.Source == SourceKubelet, nil
}

func (v *vipReader) brieflyIPTables(s facts.ServiceIntent, guess bool) (found facts.ServiceVIP, sure bool, err error) {
	if s.Name == "" { // chains have names, which the address does not tell
		return found, false, nil
	}
	hash := services.PortHash(s.Name, s.Protocol)
	for _, family := range families(s) {
		for _, prefix := range [...]string{services.PrefixCluster, services.PrefixLocal} {
			if found.Found, err = v.referenced(family, "nat", prefix+hash); err != nil || found.Found {
				found.Detail = "nft chain " + family + " nat " + prefix + hash
				return found, true, err
			}
		}
	}
	// The legacy backend may have what this one lacks.
	if err := v.legacyInUse(); err != nil {
		return found, false, err
	}
	for _, family := range families(s) { // of table filter, which lists only Services without endpoints
		if found, err = v.iptablesRejected(family, s); err != nil || found.Found {
			return found, true, err
		}
	}
	found.Detail = "no chain KUBE-SVC-" + hash + " in table nat of iptables-nft that a rule leads to"
	return found, !guess, nil
}

// Carrier finds the process that carries Services: kube-proxy's age, or where none runs the program that does it instead. It looks at every process of the
// node, so it is for when something is missing.
func (h *Host) Carrier(p *facts.Proxy) (agents []facts.Agent, err error) {
	agents, err = h.Agents()
	if err != nil {
		return nil, err
	}
	alive := false
	for _, a := range agents {
		if a.Name == "kube-proxy" {
			p.Age, alive = a.Age, true
		}
	}
	if alive {
		return agents, nil
	}
	return agents, h.node.Do(func() error {
		p.Replaced = h.node.proxyReplacement(agents)
		return nil
	})
}
