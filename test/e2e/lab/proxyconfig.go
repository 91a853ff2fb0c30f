package lab

import (
	"fmt"
	"os"
)

// apiPort is the API server's.
const apiPort = 6443

// WriteProxyConfig writes kube-proxy's configuration, and its kubeconfig beside it. The server is the API server's address as the node sees it.
func WriteProxyConfig(path, node, mode, server string) error {
	kubeconfig := path + ".kubeconfig"
	if err := WriteKubeconfig(kubeconfig, server); err != nil {
		return err
	}
	// The connection-tracking limit is the machine's, not the namespace's: 0 leaves it alone.
	return os.WriteFile(path, fmt.Appendf(nil, `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %s}
hostnameOverride: %s
mode: %s
clusterCIDR: %s
conntrack: {maxPerCore: 0, min: 0}
`, kubeconfig, node, mode, PodCIDR), 0o600)
}

// WriteKubeconfig writes the way to the API server by its address.
func WriteKubeconfig(path, server string) error {
	text := fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"lab",
"clusters":[{"name":"lab","cluster":{"server":"https://%s:%d","insecure-skip-tls-verify":true}}],
"users":[{"name":"lab","user":{"token":%q}}],
"contexts":[{"name":"lab","context":{"cluster":"lab","user":"lab"}}]}`, server, apiPort, token)
	return os.WriteFile(path, []byte(text), 0o600)
}
