package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

type object = map[string]any

// do asks the API server. The body is encoded as JSON unless it is nil.
func (c *Cluster) do(method, path string, body any) ([]byte, error) {
	kind := "application/json"
	if method == http.MethodPatch {
		kind = "application/merge-patch+json"
	}
	status, answer, err := c.DoAs(token, method, path, kind, body)
	if err != nil {
		return nil, err
	}
	if status >= 300 {
		return nil, fmt.Errorf("%s %s: %d: %s", method, path, status, answer)
	}
	return answer, nil
}

// DoAs asks the API server as the client who has a token, and gives its answer, which may be a refusal. The kind is the body's content type; the body is
// encoded as JSON unless it is nil.
func (c *Cluster) DoAs(token, method, path, kind string, body any) (status int, answer []byte, err error) {
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, fmt.Sprintf("https://%s:%d%s", c.server, apiPort, path), in)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", kind)
	r, err := c.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer r.Body.Close()
	answer, err = io.ReadAll(r.Body)
	return r.StatusCode, answer, err
}

// Do asks the API server, as kubectl --raw does, and gives its answer. The body is encoded as JSON unless it is nil.
func (c *Cluster) Do(method, path string, body any) ([]byte, error) { return c.do(method, path, body) }

func (c *Cluster) patch(path string, body object) error {
	_, err := c.do(http.MethodPatch, path, body)
	return err
}

func (c *Cluster) post(path string, body object) {
	c.t.Helper()
	if _, err := c.do(http.MethodPost, path, body); err != nil {
		c.t.Fatalf("%v", err)
	}
}

// CreateNode makes the API object of a node.
func (c *Cluster) CreateNode(name, address string) {
	c.t.Helper()
	c.post("/api/v1/nodes", object{
		"apiVersion": "v1", "kind": "Node", "metadata": object{"name": name},
		"status": object{"addresses": []object{{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}}},
	})
}

// Label gives a node labels.
func (c *Cluster) Label(node string, labels map[string]string) {
	c.t.Helper()
	if err := c.patch("/api/v1/nodes/"+node, object{"metadata": object{"labels": labels}}); err != nil {
		c.t.Fatalf("%v", err)
	}
}

// createDNS makes the Service that every cluster has beside default/kubernetes, which the API server makes itself.
func (c *Cluster) createDNS() {
	c.t.Helper()
	ports := []object{{"name": "dns", "protocol": "UDP", "port": 53}, {"name": "dns-tcp", "protocol": "TCP", "port": 53}}
	if err := c.CreateService("kube-system", "kube-dns", DNSAddress, ports, []string{"10.244.1.2"}); err != nil {
		c.t.Fatalf("%v", err)
	}
}

// CreateService makes a Service and its EndpointSlice. An empty address lets the API server choose; no endpoints make a Service without any.
func (c *Cluster) CreateService(namespace, name, address string, ports []object, endpoints []string) error {
	spec := object{"ports": ports}
	if address != "" {
		spec["clusterIP"] = address
	}
	_, err := c.do(http.MethodPost, "/api/v1/namespaces/"+namespace+"/services",
		object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": name}, "spec": spec})
	if err != nil {
		return err
	}
	slice := []object{}
	for _, e := range endpoints {
		slice = append(slice, object{"addresses": []string{e}, "conditions": object{"ready": true}})
	}
	_, err = c.do(http.MethodPost, "/apis/discovery.k8s.io/v1/namespaces/"+namespace+"/endpointslices", object{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "ports": ports, "endpoints": slice,
		"metadata": object{"name": name + "-1", "labels": object{"kubernetes.io/service-name": name}},
	})
	return err
}

// Load makes many Services, each with this number of endpoints.
func (c *Cluster) Load(services, endpoints int) {
	c.t.Helper()
	numbers, errs := make(chan int), make(chan error, services)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range numbers {
				addresses := make([]string, endpoints)
				for e := range addresses {
					n := i*endpoints + e
					addresses[e] = fmt.Sprintf("10.244.%d.%d", 2+n/250, 2+n%250)
				}
				ports := []object{{"name": "http", "protocol": "TCP", "port": 80}}
				errs <- c.CreateService("default", fmt.Sprintf("load-%d", i), "", ports, addresses)
			}
		})
	}
	for i := range services {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			c.t.Fatalf("load Services: %v", err)
		}
	}
}
