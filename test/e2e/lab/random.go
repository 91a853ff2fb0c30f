package lab

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// Random makes sets of Services and EndpointSlices, of every kind and with every setting that the API server lets in.
type Random struct {
	*rand.Rand
	Nodes    []string // the names of nodes, on which some endpoints are
	NodeIPs  []string // their addresses, which some source ranges include
	SCTP     bool     // the kernel can match it
	services int
}

// NewRandom makes the same sets for the same seed.
func NewRandom(seed uint64) *Random { return &Random{Rand: rand.New(rand.NewPCG(seed, 42))} }

func (r *Random) chance(percent int) bool { return r.IntN(100) < percent }

func pick[T any](r *Random, list ...T) T { return list[r.IntN(len(list))] }

// Request is one object to be made.
type Request struct {
	Path string
	Body object
	// Status is what is written to the object's status afterwards; nil for nothing.
	Status object
}

// Set makes the objects of one set, in a namespace of its own.
func (r *Random) Set(namespace string) (out []Request) {
	out = append(out, Request{Path: "/api/v1/namespaces", Body: object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace}}})
	for i := range 1 + r.IntN(3) {
		out = append(out, r.service(namespace, fmt.Sprintf("svc-%d", i))...)
	}
	return out
}

func (r *Random) service(namespace, name string) (out []Request) {
	r.services++
	id := r.services
	kind := pick(r, "ClusterIP", "ClusterIP", "ClusterIP", "NodePort", "NodePort", "LoadBalancer", "LoadBalancer", "LoadBalancer", "Headless", "ExternalName")
	labels := object{}
	spec := object{"type": kind}
	ports := r.ports()
	spec["ports"] = ports
	families := pick(r, []string{"IPv4"}, []string{"IPv4"}, []string{"IPv6"}, []string{"IPv4", "IPv6"}, []string{"IPv6", "IPv4"})
	switch kind {
	case "Headless":
		spec["type"], spec["clusterIP"] = "ClusterIP", "None"
		if r.chance(50) {
			labels["service.kubernetes.io/headless"] = ""
		}
	case "ExternalName":
		spec["externalName"] = "db.example.org"
	}
	if kind != "ExternalName" {
		spec["ipFamilies"] = families
		spec["ipFamilyPolicy"] = map[int]string{1: "SingleStack", 2: "RequireDualStack"}[len(families)]
	}
	if kind != "ExternalName" && kind != "Headless" {
		r.settings(kind, id, spec, labels)
	}
	meta := object{"name": name, "labels": labels}
	request := Request{Path: "/api/v1/namespaces/" + namespace + "/services", Body: object{"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}}
	if kind == "LoadBalancer" {
		request.Status = r.ingress(id)
	}
	return append([]Request{request}, r.slices(namespace, name, id, families, ports, labels)...)
}

func (r *Random) ports() (out []object) {
	n := pick(r, 1, 1, 1, 2, 3)
	for i := range n {
		protocol := pick(r, "TCP", "TCP", "TCP", "UDP")
		if r.SCTP && r.chance(5) {
			protocol = "SCTP"
		}
		p := object{"port": 80 + i, "protocol": protocol, "targetPort": 8080 + i}
		if n > 1 || r.chance(60) {
			p["name"] = fmt.Sprintf("p%d", i)
		}
		out = append(out, p)
	}
	return out
}

// settings are those of Services that have a ClusterIP.
func (r *Random) settings(kind string, id int, spec, labels object) {
	if r.chance(20) {
		spec["internalTrafficPolicy"] = "Local"
	}
	if r.chance(20) {
		spec["sessionAffinity"] = "ClientIP"
		if r.chance(50) {
			spec["sessionAffinityConfig"] = object{"clientIP": object{"timeoutSeconds": 60 + r.IntN(1000)}}
		}
	}
	exposed := kind != "ClusterIP"
	if r.chance(20) {
		exposed = true
		ips := []string{fmt.Sprintf("198.51.%d.%d", 100+id/250, 1+id%250), fmt.Sprintf("2001:db8:5::%x", id)}
		if kind == "LoadBalancer" && r.chance(20) {
			ips[0] = balancer(id) // one address in both roles
		}
		spec["externalIPs"] = ips[:1+r.IntN(2)]
	}
	if exposed && r.chance(45) {
		spec["externalTrafficPolicy"] = "Local"
	}
	if kind == "LoadBalancer" {
		if r.chance(30) {
			spec["allocateLoadBalancerNodePorts"] = false
		}
		if r.chance(40) {
			ranges := []string{"203.0.113.128/25", " 192.0.2.0/24 ", "2001:db8:7::/48", "10.99.0.0/24", "fd00:99::/64", "0.0.0.0/0", "::/0"}
			r.Shuffle(len(ranges), func(i, j int) { ranges[i], ranges[j] = ranges[j], ranges[i] })
			spec["loadBalancerSourceRanges"] = ranges[:1+r.IntN(3)]
		}
	}
	if r.chance(10) {
		spec["publishNotReadyAddresses"] = true
	}
	if r.chance(20) {
		spec["trafficDistribution"] = pick(r, "PreferClose", "PreferSameZone", "PreferSameNode")
	}
	if r.chance(4) {
		labels["service.kubernetes.io/service-proxy-name"] = pick(r, "mesh", "")
	}
	if r.chance(2) {
		labels["service.kubernetes.io/headless"] = ""
	}
}

func balancer(id int) string { return fmt.Sprintf("203.0.%d.%d", 114+id/250, 1+id%250) }

func (r *Random) ingress(id int) object {
	list := []object{}
	if r.chance(85) {
		list = append(list, object{"ip": balancer(id)})
	}
	if r.chance(30) {
		list = append(list, object{"ip": fmt.Sprintf("2001:db8:6::%x", id)})
	}
	if r.chance(20) {
		list = append(list, object{"hostname": "lb.example.org"})
	}
	if r.chance(20) {
		list = append(list, object{"ip": fmt.Sprintf("203.1.%d.%d", 114+id/250, 1+id%250), "ipMode": pick(r, "Proxy", "VIP")})
	}
	return object{"loadBalancer": object{"ingress": list}}
}

// slices makes the EndpointSlices of a Service: none, one or several for each family, some with other names of ports or other labels.
func (r *Random) slices(namespace, service string, id int, families []string, ports []object, labels object) (out []Request) {
	for _, family := range families {
		for n := range pick(r, 0, 1, 1, 1, 1, 2, 3) {
			own := object{"kubernetes.io/service-name": service}
			for k, v := range labels {
				own[k] = v
			}
			if r.chance(3) {
				own["service.kubernetes.io/service-proxy-name"] = "mesh"
			}
			if r.chance(2) {
				delete(own, "kubernetes.io/service-name")
			}
			var targets []object
			for _, p := range ports {
				if r.chance(5) {
					continue // a port that no pod has by that name
				}
				t := object{"protocol": p["protocol"], "port": p["targetPort"]}
				if p["name"] != nil {
					t["name"] = p["name"]
				}
				targets = append(targets, t)
			}
			out = append(out, Request{Path: "/apis/discovery.k8s.io/v1/namespaces/" + namespace + "/endpointslices", Body: object{
				"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family, "ports": targets, "endpoints": r.endpoints(id, n, family),
				"metadata": object{"name": fmt.Sprintf("%s-%s-%d", service, strings.ToLower(family), n), "labels": own},
			}})
		}
	}
	return out
}

// endpoints of a slice. Those of a Service's second slice are now and then also in its first, in the same state.
func (r *Random) endpoints(id, slice int, family string) []object {
	out := []object{}
	hints, node := r.IntN(100), r.chance(30)
	for i := range pick(r, 0, 1, 2, 3, 5) {
		number := slice*10 + i
		if slice > 0 && r.chance(10) {
			number -= 10
		}
		address := fmt.Sprintf("10.244.%d.%d", 2+id%250, 1+number+100*(id/250))
		if family == "IPv6" {
			address = fmt.Sprintf("fd00:244:0:%x::%x", id, 1+number)
		}
		// What an address is, it is in every slice: what kube-proxy makes of two that disagree is up to chance.
		same := rand.New(rand.NewPCG(uint64(id), uint64(number)))
		e := object{"addresses": []string{address}, "conditions": conditions(same)}
		if n := same.IntN(len(r.Nodes) + 2); n < len(r.Nodes) {
			e["nodeName"] = r.Nodes[n]
		} else if n == len(r.Nodes) {
			e["nodeName"] = "elsewhere"
		}
		if slice == 0 && hints < 50 && !(hints < 10 && i == 1) {
			h := object{"forZones": []object{{"name": pick(r, "z1", "z2", "z3")}}}
			if node {
				h["forNodes"] = []object{{"name": pick(r, append([]string{"elsewhere"}, r.Nodes...)...)}}
			}
			e["hints"] = h
		}
		out = append(out, e)
	}
	return out
}

func conditions(r *rand.Rand) object {
	switch r.IntN(10) {
	case 0:
		return object{"ready": false, "serving": false, "terminating": false}
	case 1:
		return object{"ready": false, "serving": true, "terminating": true}
	case 2:
		return object{"ready": false, "serving": false, "terminating": true}
	case 3:
		return object{"ready": true, "serving": true, "terminating": true} // publishNotReadyAddresses
	case 4:
		return object{} // unknown, which counts as ready
	case 5:
		return object{"ready": false, "serving": true}
	}
	return object{"ready": true, "serving": true, "terminating": false}
}

// Make creates the objects, those of a set one after the other and sets beside each other.
func (c *Cluster) Make(sets [][]Request) {
	c.t.Helper()
	work, errs := make(chan []Request), make(chan error, len(sets))
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for set := range work {
				errs <- c.make(set)
			}
		})
	}
	for _, set := range sets {
		work <- set
	}
	close(work)
	workers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			c.t.Fatalf("%v", err)
		}
	}
}

func (c *Cluster) make(set []Request) error {
	for _, r := range set {
		if _, err := c.do(http.MethodPost, r.Path, r.Body); err != nil {
			return fmt.Errorf("%w with %v", err, r.Body)
		}
		if r.Status == nil {
			continue
		}
		name, _ := r.Body["metadata"].(object)["name"].(string)
		patch := object{"status": r.Status}
		if err := c.patch(r.Path+"/"+name+"/status", patch); err != nil {
			return fmt.Errorf("%w with %v", err, patch)
		}
	}
	return nil
}
