package lab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
)

// listed are what Kubectl gets, with the API groups that they are of.
var listed = []struct{ path, kind, version string }{
	{"/api/v1/services", "Service", "v1"}, {"/apis/discovery.k8s.io/v1/endpointslices", "EndpointSlice", "discovery.k8s.io/v1"}, {"/api/v1/nodes", "Node", "v1"},
}

// Kubectl gives what kubectl get services,endpointslices,nodes -A -o json prints. get asks the API server for a path.
func Kubectl(get func(path string) ([]byte, error)) ([]byte, error) {
	items := []object{}
	for _, l := range listed {
		text, err := get(l.path)
		if err != nil {
			return nil, err
		}
		var list struct {
			Items []object `json:"items"`
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("%s: %w", l.path, err)
		}
		for _, item := range list.Items { // in a list of the API they have no kind of their own
			item["kind"], item["apiVersion"] = l.kind, l.version
		}
		items = slices.Concat(items, list.Items)
	}
	return json.Marshal(object{"apiVersion": "v1", "kind": "List", "items": items, "metadata": object{"resourceVersion": ""}})
}

// Services writes what kubectl prints now into a file, for netmendctl's --services.
func (c *Cluster) Services() string {
	c.t.Helper()
	text, err := Kubectl(func(path string) ([]byte, error) { return c.do(http.MethodGet, path, nil) })
	name := filepath.Join(c.t.TempDir(), "services.json")
	if err == nil {
		err = os.WriteFile(name, text, 0o600)
	}
	if err != nil {
		c.t.Fatalf("%v", err)
	}
	return name
}
