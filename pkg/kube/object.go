package kube

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// The kinds that are read. Whatever else a file holds is passed over.
const (
	kindService   = "Service"
	kindSlice     = "EndpointSlice"
	kindNode      = "Node"
	kindPod       = "Pod"
	kindDaemonSet = "DaemonSet"
)

// object is the part of an object that is needed, for all kinds in one: each kind has its own of these fields. The JSON decoder leaves out the rest while it
// reads, so that it never is in memory.
type object struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       spec     `json:"spec"`
	Status     status   `json:"status"`

	// EndpointSlice
	AddressType string        `json:"addressType"`
	Endpoints   []apiEndpoint `json:"endpoints"`
	Ports       []apiPort     `json:"ports"`
}

type metadata struct {
	Namespace       string `json:"namespace"`
	Name            string `json:"name"`
	ResourceVersion string `json:"resourceVersion"`
	Labels          labels `json:"labels"`
	Owners          []struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"ownerReferences"`
}

// labels are the few that matter. A label that is there and empty is not the same as none.
type labels struct {
	ServiceName *string `json:"kubernetes.io/service-name"`
	ProxyName   *string `json:"service.kubernetes.io/service-proxy-name"`
	Headless    *string `json:"service.kubernetes.io/headless"`
	Zone        *string `json:"topology.kubernetes.io/zone"`
	App         *string `json:"k8s-app"`
	Component   *string `json:"component"`
}

type spec struct {
	// Service
	Type          string    `json:"type"`
	ClusterIP     string    `json:"clusterIP"`
	ClusterIPs    []string  `json:"clusterIPs"`
	IPFamilies    []string  `json:"ipFamilies"`
	ExternalIPs   []string  `json:"externalIPs"`
	SourceRanges  []string  `json:"loadBalancerSourceRanges"`
	External      string    `json:"externalTrafficPolicy"`
	Internal      string    `json:"internalTrafficPolicy"`
	Session       string    `json:"sessionAffinity"`
	HealthPort    int32     `json:"healthCheckNodePort"`
	Ports         []apiPort `json:"ports"`
	AffinityClass struct {
		ClientIP struct {
			Timeout *int32 `json:"timeoutSeconds"`
		} `json:"clientIP"`
	} `json:"sessionAffinityConfig"`

	// Node
	PodCIDR  string   `json:"podCIDR"`
	PodCIDRs []string `json:"podCIDRs"`

	// Pod
	NodeName      string      `json:"nodeName"`
	PriorityClass string      `json:"priorityClassName"`
	Affinity      podAffinity `json:"affinity"`

	// DaemonSet
	Template struct {
		Spec struct {
			PriorityClass string `json:"priorityClassName"`
		} `json:"spec"`
	} `json:"template"`
}

// podAffinity names the node of a DaemonSet's pod that no node has taken yet (pkg/controller/daemon/util, ReplaceDaemonSetPodNodeNameNodeAffinity).
type podAffinity struct {
	Node struct {
		Required struct {
			Terms []struct {
				Fields []struct {
					Key    string   `json:"key"`
					Values []string `json:"values"`
				} `json:"matchFields"`
			} `json:"nodeSelectorTerms"`
		} `json:"requiredDuringSchedulingIgnoredDuringExecution"`
	} `json:"nodeAffinity"`
}

func (a *podAffinity) node() string {
	for _, t := range a.Node.Required.Terms {
		for _, f := range t.Fields {
			if f.Key == "metadata.name" && len(f.Values) == 1 {
				return f.Values[0]
			}
		}
	}
	return ""
}

type status struct {
	LoadBalancer struct {
		Ingress []struct {
			IP     string  `json:"ip"`
			IPMode *string `json:"ipMode"`
		} `json:"ingress"`
	} `json:"loadBalancer"`
	Addresses []struct {
		Type    string `json:"type"`
		Address string `json:"address"`
	} `json:"addresses"`
	Desired    int    `json:"desiredNumberScheduled"` // DaemonSet
	Phase      string `json:"phase"`
	Reason     string `json:"reason"`
	Message    string `json:"message"`
	Conditions []struct {
		Type    string `json:"type"`
		Status  string `json:"status"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Since   string `json:"lastTransitionTime"`
	} `json:"conditions"`
}

type apiPort struct {
	Name     *string `json:"name"`
	Protocol *string `json:"protocol"`
	Port     *int32  `json:"port"`
	NodePort int32   `json:"nodePort"`
}

type apiEndpoint struct {
	Addresses  []string `json:"addresses"`
	NodeName   *string  `json:"nodeName"`
	Conditions struct {
		Ready       *bool `json:"ready"`
		Serving     *bool `json:"serving"`
		Terminating *bool `json:"terminating"`
	} `json:"conditions"`
	Hints *struct {
		ForZones []hint `json:"forZones"`
		ForNodes []hint `json:"forNodes"`
	} `json:"hints"`
}

type hint struct {
	Name string `json:"name"`
}

// name is "namespace/name".
func (o *object) name() string { return o.Metadata.Namespace + "/" + o.Metadata.Name }

// wrong is an error about the object.
func (o *object) wrong(format string, args ...any) error {
	return fmt.Errorf("%s %.200s: %s", o.Kind, o.name(), fmt.Sprintf(format, args...))
}

// address reads an IP address as Kubernetes does (ParseIPSloppy of k8s.io/utils/net): leading zeros of IPv4 are passed over.
func address(text string) (netip.Addr, error) {
	if strings.Count(text, ".") == 3 && !strings.Contains(text, ":") {
		parts := strings.Split(text, ".")
		for i, p := range parts {
			if len(p) > 64 {
				return netip.Addr{}, fmt.Errorf("no IP address: %.50q", text)
			}
			for len(p) > 1 && p[0] == '0' {
				p = p[1:]
			}
			parts[i] = p
		}
		text = strings.Join(parts, ".")
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("no IP address: %.50q", text)
	}
	return a.Unmap(), nil
}

// prefix reads an address range, spaces around it passed over.
func prefix(text string) (netip.Prefix, error) {
	head, bits, ok := strings.Cut(strings.TrimSpace(text), "/")
	a, err := address(head)
	if !ok || err != nil {
		return netip.Prefix{}, fmt.Errorf("no address range: %.50q", text)
	}
	p, err := netip.ParsePrefix(a.String() + "/" + bits)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("no address range: %.50q", text)
	}
	return p.Masked(), nil
}

// number reads a port number; 0 is none.
func number(n int32) (uint16, error) {
	if n < 0 || n > 65535 {
		return 0, fmt.Errorf("no port number: %d", n)
	}
	return uint16(n), nil
}

// protocol gives the name that the kernel's tables use; TCP is the API's default.
func protocol(p *string) (string, error) {
	if p == nil || *p == "" {
		return "tcp", nil
	}
	switch *p {
	case "TCP":
		return "tcp", nil
	case "UDP":
		return "udp", nil
	case "SCTP":
		return "sctp", nil
	}
	return "", fmt.Errorf("unknown protocol %.50q", *p)
}

// labelled gives a label's value, and a word for an empty one.
func labelled(p *string) string {
	switch {
	case p == nil:
		return ""
	case *p == "":
		return `""`
	}
	return *p
}

// toNode takes what decides from a Node.
func toNode(o *object) (facts.ClusterNode, error) {
	n := facts.ClusterNode{Name: o.Metadata.Name, Zone: labelled(o.Metadata.Labels.Zone)}
	if n.Name == "" {
		return n, fmt.Errorf("a Node without a name")
	}
	if n.Zone == `""` {
		n.Zone = ""
	}
	for _, kind := range []string{"InternalIP", "ExternalIP"} {
		for _, a := range o.Status.Addresses {
			if a.Type != kind {
				continue
			}
			ip, err := address(a.Address)
			if err != nil {
				return n, o.wrong("%v", err)
			}
			n.Addresses = append(n.Addresses, ip)
		}
	}
	cidrs := o.Spec.PodCIDRs
	if len(cidrs) == 0 && o.Spec.PodCIDR != "" {
		cidrs = []string{o.Spec.PodCIDR}
	}
	for _, text := range cidrs {
		p, err := prefix(text)
		if err != nil {
			return n, o.wrong("%v", err)
		}
		n.PodCIDRs = append(n.PodCIDRs, p)
	}
	return n, nil
}
