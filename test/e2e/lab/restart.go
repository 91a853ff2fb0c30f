package lab

import (
	"fmt"
	"net/http"
	"path/filepath"
	"syscall"
	"time"
)

// StartAPI runs the API server, for the first time or again, and waits until it is ready.
func (c *Cluster) StartAPI() {
	c.t.Helper()
	c.api = c.NS.Start(filepath.Join(c.bin, "kube-apiserver"), c.args...)
	WaitFor(c.t, 90*time.Second, "the API server", func() (bool, string) {
		body, err := c.do(http.MethodGet, "/readyz", nil)
		if err != nil {
			return false, err.Error() + tail(c.api.Log)
		}
		return string(body) == "ok", string(body) + tail(c.api.Log)
	})
}

// StopAPI ends the API server at once, as a power failure would. What it has stored stays.
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

// Kubeconfig writes a file by which a node reaches the API server, with every right, and gives its path.
func (c *Cluster) Kubeconfig() string {
	c.t.Helper()
	path := filepath.Join(c.t.TempDir(), "kubeconfig")
	if err := WriteKubeconfig(path, c.server); err != nil {
		c.t.Fatalf("%v", err)
	}
	return path
}
