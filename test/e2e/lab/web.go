package lab

// A Service of type NodePort with the port http, 80, to port 8080 of its endpoints.
const (
	Web         = "default/web"
	WebAddress  = "10.96.7.7"
	WebNodePort = 30777
)

const webSlice = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

// CreateWeb makes the Service, with endpoints on a node.
func (c *Cluster) CreateWeb(node string, addresses ...string) {
	c.t.Helper()
	c.post("/api/v1/namespaces/default/services", object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": "web"},
		"spec": object{"type": "NodePort", "clusterIP": WebAddress, "ports": []object{{"name": "http", "protocol": "TCP", "port": 80, "nodePort": WebNodePort}}}})
	c.post(webSlice, object{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": []object{{"name": "http", "protocol": "TCP", "port": 8080}},
		"endpoints": webEndpoints(node, addresses), "metadata": object{"name": "web-1", "labels": object{"kubernetes.io/service-name": "web"}}})
}

// ReplaceWeb gives the Service other endpoints.
func (c *Cluster) ReplaceWeb(node string, addresses ...string) {
	c.t.Helper()
	if err := c.patch(webSlice+"/web-1", object{"endpoints": webEndpoints(node, addresses)}); err != nil {
		c.t.Fatalf("%v", err)
	}
}

// HintWeb gives the Service other endpoints, each with a hint for a zone.
func (c *Cluster) HintWeb(node string, zones map[string]string) {
	c.t.Helper()
	var all []object
	for address, zone := range zones {
		e := webEndpoints(node, []string{address})[0]
		e["hints"] = object{"forZones": []object{{"name": zone}}}
		all = append(all, e)
	}
	if err := c.patch(webSlice+"/web-1", object{"endpoints": all}); err != nil {
		c.t.Fatalf("%v", err)
	}
}

func webEndpoints(node string, addresses []string) (out []object) {
	for _, a := range addresses {
		out = append(out, object{"addresses": []string{a}, "conditions": object{"ready": true}, "nodeName": node})
	}
	return out
}
