package lab

import (
	"encoding/base64"
	"fmt"
	"os"
)

// apiPort is the API server's.
const apiPort = 6443

// WriteProxyConfig writes kube-proxy's configuration, and its kubeconfig beside it. The server is the API server's address as the node sees it.
func WriteProxyConfig(path, node, mode, server string) error {
	kubeconfig := path + ".kubeconfig"
	if err := os.WriteFile(kubeconfig, []byte(Kubeconfig(server, token, nil)), 0o600); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(ProxyConfig(kubeconfig, node, mode)), 0o600)
}

// ProxyConfig is kube-proxy's configuration. The connection-tracking limit is the machine's, not the namespace's: 0 leaves it alone.
func ProxyConfig(kubeconfig, node, mode string) string {
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: %s}
hostnameOverride: %s
mode: %s
clusterCIDR: %s
conntrack: {maxPerCore: 0, min: 0}
`, kubeconfig, node, mode, PodCIDR)
}

// Kubeconfig is how a client reaches the API server. Without the server's certificate it trusts whoever answers.
func Kubeconfig(server, token string, certificate []byte) string {
	trust := `"insecure-skip-tls-verify":true`
	if certificate != nil {
		trust = fmt.Sprintf(`"certificate-authority-data":%q`, base64.StdEncoding.EncodeToString(certificate))
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"lab",
"clusters":[{"name":"lab","cluster":{"server":"https://%s:%d",%s}}],
"users":[{"name":"lab","user":{"token":%q}}],
"contexts":[{"name":"lab","context":{"cluster":"lab","user":"lab"}}]}`, server, apiPort, trust, token)
}
