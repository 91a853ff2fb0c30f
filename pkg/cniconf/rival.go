package cniconf

import "fmt"

// writer is somebody who writes CNI configuration, known by the type of its plugin.
type writer struct{ plugin, who, how string }

// writers are the installers of the usual networks.
func writers() []writer {
	return []writer{
		{"cilium-cni", "cilium-agent", "it owns the directory while cni.exclusive is true: set cni.exclusive=false, or give the chain in cni.configMap with cni.customConf=true"},
		{"calico", "calico-node's container install-cni", "put netmend into cni_network_config of the ConfigMap calico-config, or into the operator's installation"},
		{"flannel", "kube-flannel's container install-cni", "put netmend into cni-conf.json of the ConfigMap kube-flannel-cfg"},
		{"multus", "multus", "it writes its configuration anew from that of the cluster's network: start it with a fixed --multus-conf-file"},
		{"multus-shim", "multus-daemon", "it writes its configuration anew from that of the cluster's network: give a fixed multusConfigFile"},
		{"antrea", "antrea-agent's container install-cni", "put netmend into antrea-cni.conflist of the ConfigMap antrea-config"},
		{"ptp", "kindnetd", "it writes its configuration at each change of the node's pod CIDR"},
		{"aws-cni", "aws-node", "put netmend into its template 10-aws.conflist"},
		{"weave-net", "weaver", "it writes its configuration at each start"},
	}
}

// rival tells who is likely to rewrite a chain.
func rival(file string, chain []string) string {
	for _, t := range chain {
		for _, w := range writers() {
			if w.plugin == t {
				return fmt.Sprintf("%s is rewritten again and again, likely by %s: %s", file, w.who, w.how)
			}
		}
	}
	return fmt.Sprintf("%s is rewritten again and again by another process: find it with \"fatrace\" or \"auditctl -w %s -p wa\"", file, file)
}
