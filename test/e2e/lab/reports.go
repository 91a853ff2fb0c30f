package lab

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"
)

// KnowReports lets the API server know the reports of nodes, by the chart's own CustomResourceDefinition.
func (c *Cluster) KnowReports() {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(Source(), "deploy/helm/netmend/crds/nodenetworkreports.yaml"))
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	var crd object
	if err := yaml.Unmarshal(text, &crd); err != nil {
		c.t.Fatalf("%v", err)
	}
	c.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
	WaitFor(c.t, time.Minute, "the reports' kind to be served", func() (bool, string) {
		_, err := c.do(http.MethodGet, "/apis/netmend.io/v1alpha1/nodenetworkreports", nil)
		return err == nil, fmt.Sprint(err)
	})
}
