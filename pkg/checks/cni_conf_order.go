package checks

import (
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// CNIConfOrder finds a CNI configuration that the runtime cannot use, or that belongs to another network than the one that runs.
var CNIConfOrder = &check.Check{
	Name:  "cni-conf-order",
	Title: "The container runtime uses a wrong or broken CNI configuration",
	Since: "v0.1.0",
	Doc: markdown(`
The container runtime reads ~/etc/cni/net.d~ in the order of file names and uses the **first** ~.conf~, ~.conflist~ or ~.json~ file for every
pod. A file that an earlier installation left, named ~10-calico.conflist~, wins over ~10-flannel.conflist~; ~kubeadm reset~ does not remove it.

**How it is seen.** Pods hang in ~ContainerCreating~ with ~failed to setup network for sandbox~, or they start and get an address from a network
that nobody routes any more. The node is ~NotReady~ with ~cni plugin not initialized~ where no file can be used.

**What is looked for**, in the first file unless it says otherwise:

- It cannot be read as configuration. containerd then has no network at all, even when the next file is good (loadFromConfDir in containerd's
  go-cni): critical. CRI-O (loadNetworks in ocicni) and cri-dockerd skip the file: a warning. A broken file behind the first is only worth
  knowing.
- Its network does not run here (no flanneld, calico-node, cilium-agent, antrea-agent or weaver), another one's agent does, and that one's file
  comes later.
- A plugin that needs the result of one before it comes first: bandwidth, firewall, portmap, sbr, tuning and vrf then fail every ADD; tried with
  v1.9.1.
- The program of a plugin is not in ~/opt/cni/bin~: ADD fails after the plugins before it have done their work, and leaves an address reserved.
  CRI-O skips such a file instead (a warning).
- ~netmend~ comes first: it passes pods on unchanged and checks nothing (a warning).
- ~disableCheck~: the runtime never asks whether a pod's network still stands (worth knowing).

**Fix.** A person moves the file away; a program must not, because it cannot know which network is meant to win. Running pods keep their
network; those made while the wrong file was in use have to be made again. Undo: move it back.

**When it is no fault.** While a network is being exchanged for another, both files are there for a while. Multus and other plugins that call
others are not known to belong to a network and are not judged by their agent. A hostPort without portmap cannot be seen from the node's files.
`),
	Needs:    []facts.Kind{facts.KindCNIConfig},
	Wants:    []facts.Kind{facts.KindAgents},
	Severity: check.Critical,
	Settle:   time.Minute,
	NotApplicable: func(s *facts.Snapshot) string {
		if s.CNI == nil || len(s.CNI.Files) == 0 {
			return "no CNI configuration on this host"
		}
		return ""
	},
	Run: runCNIConfOrder,
}

func runCNIConfOrder(s *facts.Snapshot) []check.Finding {
	if s.CNI == nil {
		return nil
	}
	var out []check.Finding
	for i, f := range s.CNI.Files {
		if f.Error != "" {
			out = append(out, brokenConf(s, f, i == 0))
		}
	}
	f := running(s.CNI)
	if len(f.Plugins) == 0 {
		return out
	}
	return slices.Concat(out, foreignConf(s, f), badChain(s, f))
}

// confFinding is a finding on a configuration file.
func confFinding(s *facts.Snapshot, f facts.CNIFile, severity check.Severity, message string, evidence ...check.Evidence) check.Finding {
	return check.Finding{Severity: severity, On: facts.Ref{NetNS: s.Host.Inode, Name: path.Join(s.CNI.Dir, f.Name)}, Message: message, Evidence: evidence}
}

// moveAway advises to take a file out of the runtime's sight.
func moveAway(s *facts.Snapshot, f facts.CNIFile, title string) []fix.Fix {
	from := path.Join(s.CNI.Dir, f.Name)
	return []fix.Fix{{
		Title: title,
		Advice: []string{
			fix.Shell(nil, "mv", from, "/root/"+f.Name+".saved") + "  # undo: move it back",
			podsOf(s) + "  # pods made meanwhile are to be deleted",
		},
	}}
}

// podsOf is the command that lists the node's pods.
func podsOf(s *facts.Snapshot) string {
	return fix.Shell(nil, "kubectl", "get", "pods", "-A", "-o", "wide", "--field-selector", "spec.nodeName="+nodeName(s))
}

func brokenConf(s *facts.Snapshot, f facts.CNIFile, first bool) check.Finding {
	out := confFinding(s, f, check.Info, f.Name+" cannot be used; it is not the first file, so the runtime does not reach it",
		check.Evidence{Fact: f.Name, Got: f.Error})
	switch {
	case first && runs(s, "containerd") && !skipsBad(s):
		out.Severity, out.Message = check.Critical, f.Name+" comes first and cannot be used: containerd has no pod network at all"
	case first:
		out.Severity, out.Message = check.Warning, f.Name+" comes first and cannot be used: containerd stops there, CRI-O and cri-dockerd take the next file"
	}
	out.Fixes = moveAway(s, f, "repair the file, or move it away")
	return out
}

// skipsBad says whether the runtime goes on to the next file where one cannot be used. dockerd has a containerd too, but its pods' networks are
// cri-dockerd's business.
func skipsBad(s *facts.Snapshot) bool { return runs(s, "crio") || runs(s, "dockerd") }

func runs(s *facts.Snapshot, agent string) bool {
	return slices.ContainsFunc(s.Agents, func(a facts.Agent) bool { return a.Name == agent })
}

// foreignConf judges whether the network of the running configuration runs.
func foreignConf(s *facts.Snapshot, f facts.CNIFile) []check.Finding {
	want, known := networkOf(mainPlugin(f).Type)
	if !known || !s.Has(facts.KindAgents) || want.agent(s) != nil {
		return nil
	}
	for _, later := range s.CNI.Files {
		other, known := networkOf(mainPlugin(later).Type)
		if later.Name <= f.Name || !known || other.agent(s) == nil {
			continue
		}
		agent := other.agent(s).Name
		out := confFinding(s, f, check.Critical,
			fmt.Sprintf("pods get the network of %s, whose agent does not run; %s runs, and %s comes later", f.Name, agent, later.Name),
			check.Evidence{Fact: "first file", Got: fmt.Sprintf("%s (%s)", f.Name, mainPlugin(f).Type), Want: later.Name},
			check.Evidence{Fact: want.agents[0], Got: "not running"},
			check.Evidence{Fact: agent, Got: "running"})
		out.Fixes = moveAway(s, f, "take the configuration of "+want.name+" away")
		return []check.Finding{out}
	}
	return nil
}

// editChain advises to put the plugins of a file in order.
func editChain(s *facts.Snapshot, f facts.CNIFile, title string) []fix.Fix {
	return []fix.Fix{{Title: title, Advice: []string{fix.Shell(nil, "vi", path.Join(s.CNI.Dir, f.Name)) + "  # the order of the list \"plugins\""}}}
}

// badChain judges the plugins of the running configuration.
func badChain(s *facts.Snapshot, f facts.CNIFile) []check.Finding {
	var out []check.Finding
	switch first := f.Plugins[0].Type; {
	case needsResult(first):
		out = append(out, confFinding(s, f, check.Critical, fmt.Sprintf("%s comes before the plugin that makes the pod's link: every ADD fails", first),
			check.Evidence{Fact: "first plugin of " + f.Name, Got: first, Want: "a plugin that makes a link"}))
		out[0].Fixes = editChain(s, f, "put the plugin behind the one that makes the link")
	case first == "netmend" && len(f.Plugins) > 1:
		out = append(out, confFinding(s, f, check.Warning, "netmend comes first in the chain, where there is nothing to check yet",
			check.Evidence{Fact: "first plugin of " + f.Name, Got: first, Want: "a plugin that makes a link"}))
		out[0].Fixes = editChain(s, f, "put netmend last")
	}
	for _, p := range f.Plugins {
		if p.Binary != nil && !*p.Binary {
			missing := confFinding(s, f, check.Critical, fmt.Sprintf("the program of plugin %s is missing: every ADD fails", p.Type),
				check.Evidence{Fact: path.Join(s.CNI.BinDir, p.Type), Got: "absent", Want: "a program"})
			if runs(s, "crio") {
				missing.Severity, missing.Message = check.Warning, fmt.Sprintf("the program of plugin %s is missing: CRI-O skips the file and takes the next", p.Type)
			}
			missing.Fixes = []fix.Fix{{
				Title:  "install the plugin",
				Advice: []string{fix.Shell(nil, "ls", "-l", s.CNI.BinDir) + "  # the reference plugins are releases of containernetworking/plugins"},
			}}
			out = append(out, missing)
		}
	}
	if f.DisableCheck {
		out = append(out, confFinding(s, f, check.Info, "disableCheck is set: the runtime cannot ask whether a pod's network still stands",
			check.Evidence{Fact: "disableCheck of " + f.Name, Got: "true"}))
	}
	return out
}
