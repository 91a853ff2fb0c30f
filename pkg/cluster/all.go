package cluster

// All is every check of a cluster, in the order of their names.
func All() []*Check {
	return []*Check{BadChecksums, CNINetwork, DuplicateIP, KubeProxyMissing, MTU, NotReported, PodCIDR, ProxyModes, Versions, FlannelIdentity}
}

// ByName finds a check; nil where there is none.
func ByName(name string) *Check {
	for _, c := range All() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// since is the version that brought these checks.
const since = "v0.1.0"
