package lab

import (
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"time"
)

// StartAPI runs the API server of a cluster of [NewCluster] again, and waits until it is ready.
func (c *Cluster) StartAPI() {
	c.t.Helper()
	c.api = c.startServer(filepath.Join(c.dir, "tokens"), "--cert-dir="+filepath.Join(c.dir, "certs"), "--disable-admission-plugins=ServiceAccount")
}

// StopAPI ends the API server of a cluster of [NewCluster] at once, as a power failure would. What it has stored stays.
func (c *Cluster) StopAPI() {
	c.t.Helper()
	c.api.Signal(syscall.SIGKILL)
	if !c.api.Ends(30 * time.Second) {
		c.t.Fatalf("kube-apiserver does not end")
	}
}

// Transport reaches the API server from the test's own namespace, by the URL that [Cluster.URL] gives.
func (c *Cluster) Transport() http.RoundTripper { return c.client.Transport }

// URL is where the API server is.
func (c *Cluster) URL() string { return fmt.Sprintf("https://%s:%d", c.server, apiPort) }

// Token is that of the cluster's administrator.
func (c *Cluster) Token() string { return token }
