package lab

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
)

// StartServer runs the API server of a cluster of [NewCluster] again, and waits until it is ready.
func (c *Cluster) StartServer() {
	c.t.Helper()
	c.api = c.startServer(filepath.Join(c.dir, "tokens"), "--cert-dir="+filepath.Join(c.dir, "certs"), "--disable-admission-plugins=ServiceAccount")
}

// StopServer ends the API server of a cluster of [NewCluster] at once; what it knows stays in etcd.
func (c *Cluster) StopServer() { c.api.Stop() }

// Kubeconfig writes a file by which a node reaches the API server, with every right, and gives its path.
func (c *Cluster) Kubeconfig() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(Kubeconfig(c.server, token, nil)), 0o600); err != nil {
		c.t.Fatalf("%v", err)
	}
	return path
}

// Transport reaches the API server from the test's own namespace, by the URL that [Cluster.URL] gives.
func (c *Cluster) Transport() http.RoundTripper { return c.client.Transport }

// URL is where the API server is.
func (c *Cluster) URL() string { return fmt.Sprintf("https://%s:%d", c.server, apiPort) }

// Token is that of the cluster's administrator.
func (c *Cluster) Token() string { return token }
