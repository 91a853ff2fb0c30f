package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// IPTablesBackendMixed finds Kubernetes' rules in both backends of iptables.
var IPTablesBackendMixed = &check.Check{
	Name:  "iptables-backend-mixed",
	Title: "Kubernetes' rules are in both iptables backends",
	Since: "v0.1.0",
	Doc: markdown(`
The program ~iptables~ comes in two: **legacy** writes to the kernel's old xtables, **nft** to nftables. Each shows its own rules only, and the
kernel runs both. kubelet, kube-proxy and the pod network must use the same one, and the containers among them choose it by what they find on
the node.

**What breaks.** A packet passes both sets. A drop in either drops it. A Service is translated by the set that was registered later (tried on
6.18), and the set whose owner has moved to the other backend is never updated again: it sends connections to pods that are gone. Packets are
masqueraded that should not be, or the other way round.

**How it is seen.** ~iptables-save~ on the node looks right, or empty, and Services fail for a part of the connections. It begins after an
upgrade of the distribution, a change of ~update-alternatives --set iptables~, a kube-proxy image of another base, or a CNI that brings its own
iptables.

**How it is judged.** Chains that start with KUBE-, cali- or FLANNEL- in both backends of one IP version are a warning: the programs have not
agreed. It is critical where both hold Services' chains (KUBE-SVC-), because then one of the two sets is stale. ~KUBE-IPTABLES-HINT~ and
~KUBE-KUBELET-CANARY~ are in the backend that kubelet uses (pkg/kubelet, ~initNetworkUtil~); it says which of the two should stay.

**Fix.** By hand: drain the node, make every program use kubelet's backend, then remove the other's rules. A reboot is the surest way, because
no program writes them again. Removing them live cuts connections; the saved file is the undo.

**When it is no fault.** Tables that any call of ~iptables-legacy~ has created and left empty; Docker, firewalld or an administrator in the one
backend while Kubernetes keeps to the other. A kubelet's canary alone beside nothing else of Kubernetes in that backend is a warning too: it
leads the next container astray.
`),
	Needs:    []facts.Kind{facts.KindNFTables, facts.KindLegacy},
	Severity: check.Critical,
	NotApplicable: func(s *facts.Snapshot) string {
		if !slices.ContainsFunc(s.Host.Tables, func(t facts.Table) bool { return t.IPTables() }) {
			return "no iptables table is in use"
		}
		return ""
	},
	Run: runIPTablesBackendMixed,
}

// backendUse is what of Kubernetes one backend holds for one IP version.
type backendUse struct {
	chains   []string // by name, for people; at most one for each owner and the hints
	services int      // how many KUBE-SVC- chains
	hint     bool     // kubelet uses this backend
}

func useOf(ns *facts.Namespace, backend, family string) (u backendUse) {
	for i := range ns.Tables {
		t := &ns.Tables[i]
		if t.Backend != backend || t.Family != family || !t.IPTables() {
			continue
		}
		u.services += t.Bulk["KUBE-SVC-"]
		owners := map[string]bool{}
		for _, c := range t.Chains {
			u.hint = u.hint || c.Name == "KUBE-IPTABLES-HINT" || c.Name == "KUBE-KUBELET-CANARY"
			if o := chainOwner(c.Name); o != "" && !owners[o] {
				owners[o] = true
				u.chains = append(u.chains, t.Name+" "+c.Name)
			}
		}
		for _, o := range []string{"KUBE-", "cali-"} {
			if n := bulkOf(t, o); n > 0 && !owners[o] {
				owners[o] = true
				u.chains = append(u.chains, fmt.Sprintf("%s, %d chains %s*", t.Name, n, o))
			}
		}
	}
	return u
}

// chainOwner tells whose chain it is by the start of its name; empty for nobody's of Kubernetes.
func chainOwner(chain string) string {
	for _, o := range []string{"KUBE-", "cali-", "FLANNEL-"} {
		if strings.HasPrefix(chain, o) {
			return o
		}
	}
	return ""
}

// bulkOf counts the chains of an owner that are only counted.
func bulkOf(t *facts.Table, owner string) (n int) {
	for prefix, count := range t.Bulk {
		if strings.HasPrefix(prefix, owner) {
			n += count
		}
	}
	return n
}

func runIPTablesBackendMixed(s *facts.Snapshot) []check.Finding {
	var out []check.Finding
	for _, family := range []string{"ip", "ip6"} {
		nft, legacy := useOf(&s.Host, facts.BackendNFT, family), useOf(&s.Host, facts.BackendLegacy, family)
		if len(nft.chains) == 0 || len(legacy.chains) == 0 {
			continue
		}
		program := map[string]string{"ip": "iptables", "ip6": "ip6tables"}[family]
		f := check.Finding{
			Severity: check.Warning,
			On:       facts.Ref{NetNS: s.Host.Inode, Name: program},
			Message:  fmt.Sprintf("%s-nft and %s-legacy both hold rules of Kubernetes: every packet passes both", program, program),
			Evidence: []check.Evidence{
				{Fact: program + "-nft", Got: strings.Join(nft.chains, "; ")},
				{Fact: program + "-legacy", Got: strings.Join(legacy.chains, "; ")},
			},
		}
		if nft.services > 0 && legacy.services > 0 {
			f.Severity = check.Critical
			f.Message = fmt.Sprintf("%s-nft and %s-legacy both translate Services, one of them by rules that nobody updates", program, program)
			f.Evidence = append(f.Evidence, check.Evidence{
				Fact: "chains KUBE-SVC-*", Got: fmt.Sprintf("%d in nft, %d in legacy", nft.services, legacy.services), Want: "in one backend",
			})
		}
		keep, drop := facts.BackendNFT, facts.BackendLegacy
		if legacy.hint && !nft.hint {
			keep, drop = drop, keep
		}
		if nft.hint != legacy.hint {
			f.Evidence = append(f.Evidence, check.Evidence{Fact: "kubelet's backend, by its hint chains", Got: keep})
		}
		f.Fixes = []fix.Fix{oneBackend(s, program, keep, drop, nft.hint != legacy.hint)}
		out = append(out, f)
	}
	return out
}

func oneBackend(s *facts.Snapshot, program, keep, drop string, sure bool) fix.Fix {
	f := fix.Fix{
		Title:  fmt.Sprintf("leave %s to one backend", program),
		Cost:   "connections that the removed rules translate are cut, so the node is to be drained first",
		Advice: []string{drain(s)},
	}
	if !sure {
		f.Advice = append(f.Advice, program+" --version  # the node's own backend; make kubelet, kube-proxy and the pod network use the same one")
		f.Title += ": first find out which one kubelet uses"
	}
	old := program + "-" + drop
	f.Advice = append(f.Advice,
		fmt.Sprintf("update-alternatives --set %s /usr/sbin/%s-%s  # where the distribution has alternatives", program, program, keep),
		fmt.Sprintf("%s-save >/root/%s.saved", old, old),
		fmt.Sprintf("grep -vE 'KUBE-|cali-|FLANNEL-' /root/%s.saved | %s-restore  # or reboot, which removes them too", old, old),
		fix.Shell(nil, "kubectl", "uncordon", nodeName(s)),
	)
	return f
}
