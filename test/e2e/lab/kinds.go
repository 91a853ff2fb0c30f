package lab

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// CreateKinds makes a Service of every kind in the namespace default, dual stack, with endpoints elsewhere and one on each of these nodes.
func (c *Cluster) CreateKinds(nodes ...string) {
	c.t.Helper()
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
		c.post("/api/v1/namespaces/default/services", object{"apiVersion": "v1", "kind": "Service", "metadata": object{"name": name}, "spec": spec})
		for _, family := range []string{"IPv4", "IPv6"} {
			format := map[string]string{"IPv4": "10.244.%d.%d", "IPv6": "fd00:244::%d:%d"}[family]
			endpoints := []object{}
			add := func(address, node string) {
				endpoints = append(endpoints, object{"addresses": []string{address}, "conditions": object{"ready": true}, "nodeName": node})
			}
			for i, n := range nodes {
				if local {
					add(fmt.Sprintf(format, 1, 1+i), n)
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
			c.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", object{
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
		var s object
		body, err := c.do(http.MethodGet, path, nil)
		if err == nil {
			err = json.Unmarshal(body, &s)
		}
		if err == nil {
			s["status"] = object{"loadBalancer": object{"ingress": list}}
			_, err = c.do(http.MethodPut, path+"/status", s)
		}
		if err != nil {
			c.t.Fatalf("%v", err)
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
	one := func(node int) []object {
		return []object{{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080, "nodePort": node}}
	}
	service("plain", object{"ports": three(0)}, true, true)                                                                                                          // 1
	service("ports", object{"type": "NodePort", "ports": three(30010)}, true, true)                                                                                  // 2
	service("local", object{"type": "NodePort", "externalTrafficPolicy": "Local", "ports": one(30020)}, true, true)                                                  // 3
	service("outward", object{"externalIPs": []string{"192.0.2.4", "2001:db8::4"}}, true, false)                                                                     // 4
	service("inward", object{"internalTrafficPolicy": "Local"}, true, true)                                                                                          // 5
	service("nowhere", object{"internalTrafficPolicy": "Local"}, true, false)                                                                                        // 6
	service("sticky", object{"sessionAffinity": "ClientIP", "sessionAffinityConfig": object{"clientIP": object{"timeoutSeconds": 77}}}, true, true)                  // 7
	service("empty", object{"type": "NodePort", "externalIPs": []string{"192.0.2.8"}, "ports": one(30080)}, false, false)                                            // 8
	service("headless", object{"clusterIPs": []string{"None"}, "clusterIP": "None"}, true, true)                                                                     // 9
	service("name", object{"type": "ExternalName", "externalName": "example.com"}, false, false)                                                                     // 10
	service("balanced", object{"type": "LoadBalancer", "ports": one(30110), "loadBalancerSourceRanges": []string{"198.51.100.0/24", "203.0.113.7/32"}}, true, false) // 11
	service("balanced-local", object{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30129, "ports": one(30120)}, true, false)      // 12
	service("unported", object{"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false}, true, false)                                                         // 13
	ingress("balanced", "192.0.2.11", "2001:db8::11")
	ingress("balanced-local", "192.0.2.12", "2001:db8::12")
	ingress("unported", "192.0.2.13")
}
