package services

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/netmend/netmend/test/e2e/lab"
)

type object = map[string]any

// kinds makes a Service of every kind, dual stack, with endpoints on other nodes and one on each of these.
func kinds(t *testing.T, c *lab.Cluster, nodes []*lab.Node) {
	t.Helper()
	number := 0
	service := func(name string, spec object, remote, local bool) {
		number++
		if _, ok := spec["clusterIPs"]; !ok {
			spec["clusterIPs"] = []string{fmt.Sprintf("10.96.1.%d", number), fmt.Sprintf("fd00:96::1%02d", number)}
			spec["clusterIP"] = fmt.Sprintf("10.96.1.%d", number)
			spec["ipFamilyPolicy"] = "RequireDualStack"
		}
		if spec["type"] == "ExternalName" {
			delete(spec, "clusterIP")
			delete(spec, "clusterIPs")
			delete(spec, "ipFamilyPolicy")
		}
		ports, ok := spec["ports"].([]object)
		if !ok {
			ports = []object{{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}}
			spec["ports"] = ports
		}
		create(t, c, "/api/v1/namespaces/default/services", object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": name}, "spec": spec})
		for _, family := range []string{"IPv4", "IPv6"} {
			format := map[string]string{"IPv4": "10.244.%d.%d", "IPv6": "fd00:244::%d:%d"}[family]
			endpoints := []object{}
			add := func(address, node string) {
				endpoints = append(endpoints, object{"addresses": []string{address}, "conditions": object{"ready": true}, "nodeName": node})
			}
			for i, n := range nodes {
				if local {
					add(fmt.Sprintf(format, 1, 1+i), n.Name)
				}
			}
			if remote {
				add(fmt.Sprintf(format, 9, 1), "elsewhere")
				add(fmt.Sprintf(format, 9, 2), "elsewhere")
			}
			targets := []object{}
			for _, p := range ports {
				targets = append(targets, object{"name": p["name"], "protocol": p["protocol"], "port": 8080})
			}
			create(t, c, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", object{
				"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family, "ports": targets, "endpoints": endpoints,
				"metadata": object{"name": name + "-" + map[string]string{"IPv4": "4", "IPv6": "6"}[family], "labels": object{"kubernetes.io/service-name": name}},
			})
		}
	}
	ingress := func(name string, addresses ...string) {
		var list []object
		for _, a := range addresses {
			list = append(list, object{"ip": a})
		}
		path := "/api/v1/namespaces/default/services/" + name
		body, err := c.Do(http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		s := decode(t, body)
		s["status"] = object{"loadBalancer": object{"ingress": list}}
		if _, err := c.Do(http.MethodPut, path+"/status", s); err != nil {
			t.Fatal(err)
		}
	}
	three := func(node int) []object {
		var ports []object
		for i, protocol := range []string{"TCP", "UDP", "SCTP"} {
			p := object{"name": fmt.Sprintf("p%d", i), "protocol": protocol, "port": 80 + i, "targetPort": 8080}
			if node != 0 {
				p["nodePort"] = node + i
			}
			ports = append(ports, p)
		}
		return ports
	}
	http := func(node int) []object {
		return []object{{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": node}}
	}
	service("plain", object{"ports": three(0)}, true, true)                                                                                                           // 1
	service("ports", object{"type": "NodePort", "ports": three(30010)}, true, true)                                                                                   // 2
	service("local", object{"type": "NodePort", "externalTrafficPolicy": "Local", "ports": http(30020)}, true, true)                                                  // 3
	service("outward", object{"externalIPs": []string{"192.0.2.4", "2001:db8::4"}}, true, false)                                                                      // 4
	service("inward", object{"internalTrafficPolicy": "Local"}, true, true)                                                                                           // 5
	service("nowhere", object{"internalTrafficPolicy": "Local"}, true, false)                                                                                         // 6
	service("sticky", object{"sessionAffinity": "ClientIP", "sessionAffinityConfig": object{"clientIP": object{"timeoutSeconds": 77}}}, true, true)                   // 7
	service("empty", object{"type": "NodePort", "externalIPs": []string{"192.0.2.8"}, "ports": http(30080)}, false, false)                                            // 8
	service("headless", object{"clusterIPs": []string{"None"}, "clusterIP": "None"}, true, true)                                                                      // 9
	service("name", object{"type": "ExternalName", "externalName": "example.com"}, false, false)                                                                      // 10
	service("balanced", object{"type": "LoadBalancer", "ports": http(30110), "loadBalancerSourceRanges": []string{"198.51.100.0/24", "203.0.113.7/32"}}, true, false) // 11
	service("balanced-local", object{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30129, "ports": http(30120)}, true, false)      // 12
	service("unported", object{"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}, true, false)                                                          // 13
	ingress("balanced", "192.0.2.11", "2001:db8::11")
	ingress("balanced-local", "192.0.2.12", "2001:db8::12")
	ingress("unported", "192.0.2.13")
}

func create(t *testing.T, c *lab.Cluster, path string, body object) {
	t.Helper()
	if _, err := c.Do(http.MethodPost, path, body); err != nil {
		t.Fatal(err)
	}
}
