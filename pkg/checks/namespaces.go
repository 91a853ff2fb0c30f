package checks

import "github.com/netmend/netmend/pkg/facts"

// readable gives the node's namespace and then those pods' in which all the kinds were read: what a check with Pods judges.
func readable(s *facts.Snapshot, kinds ...facts.Kind) []*facts.Namespace {
	out := []*facts.Namespace{&s.Host}
	return append(out, readablePods(s, kinds...)...)
}

// readablePods gives the pods in whose namespaces all those of the kinds that are read per pod were read.
func readablePods(s *facts.Snapshot, kinds ...facts.Kind) []*facts.Namespace {
	var out []*facts.Namespace
	for i := range s.Pods {
		ok := true
		for _, k := range kinds {
			ok = ok && (!k.PerPod() || s.PodHas(&s.Pods[i], k))
		}
		if ok {
			out = append(out, &s.Pods[i])
		}
	}
	return out
}
