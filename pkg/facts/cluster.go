package facts

import "net/netip"

// Cluster is what the Kubernetes API wants of this node's Services, by the API server or by a file that kubectl wrote. It holds only what decides about
// rules. The lists are in the order of their names.
type Cluster struct {
	Source string          `json:"source"`        // who told it: [SourceAPI], or the name of a file
	Age    int64           `json:"age,omitempty"` // seconds between the telling and [Snapshot.Taken]
	Node   *ClusterNode    `json:"node,omitempty"`
	Proxy  *ProxyPod       `json:"proxy,omitempty"` // nil where nothing was told of kube-proxy's pods
	All    []Service       `json:"services,omitempty"`
	Slices []EndpointSlice `json:"slices,omitempty"`

	Unheard string          `json:"unheard,omitempty"` // why it cannot be known whether this is still so: the API server does not answer, or only again for a moment
	Recent  []ServiceChange `json:"recent,omitempty"`  // what was told of a short while ago, so that kube-proxy may be writing it
}

// ServiceChange says that what is wanted of a Service has changed. An empty name is all of them.
type ServiceChange struct {
	Service string `json:"service,omitempty"` // namespace/name
	Age     int64  `json:"age"`               // seconds since it was told
}

// RecentFor is for how many seconds a [Cluster] names what has changed.
const RecentFor = 120

// ClusterNode is what matters of this node's Node object.
type ClusterNode struct {
	Name      string         `json:"name"`
	Addresses []netip.Addr   `json:"addresses,omitempty"` // InternalIP first, then ExternalIP (GetNodeHostIPs of pkg/util/node)
	PodCIDRs  []netip.Prefix `json:"podCIDRs,omitempty"`
	Zone      string         `json:"zone,omitempty"` // label topology.kubernetes.io/zone
}

// ProxyPod is kube-proxy as the API knows it. Name is empty where its DaemonSet has no pod on this node.
type ProxyPod struct {
	Name          string `json:"name,omitempty"` // namespace/name
	Phase         string `json:"phase,omitempty"`
	Reason        string `json:"reason,omitempty"` // why it is not Running or not Ready, as the API says it
	Ready         bool   `json:"ready,omitempty"`
	Age           int64  `json:"age,omitempty"`           // seconds since it became what it is (the Ready condition's last transition)
	DaemonSet     string `json:"daemonSet,omitempty"`     // namespace/name
	PriorityClass string `json:"priorityClass,omitempty"` // of the DaemonSet's pods
}

// The types of Services, by the API's names.
const (
	TypeClusterIP    = "ClusterIP"
	TypeNodePort     = "NodePort"
	TypeLoadBalancer = "LoadBalancer"
	TypeExternalName = "ExternalName"
)

// Service is one Service. Addresses of several families are in one list. No ClusterIPs: headless, or ExternalName.
type Service struct {
	Name          string         `json:"name"` // namespace/name
	Type          string         `json:"type"`
	ClusterIPs    []netip.Addr   `json:"clusterIPs,omitempty"` // "None" is left out
	ExternalIPs   []netip.Addr   `json:"externalIPs,omitempty"`
	LoadBalancers []netip.Addr   `json:"loadBalancers,omitempty"` // of status.loadBalancer.ingress, those whose ipMode is VIP or not given
	SourceRanges  []netip.Prefix `json:"sourceRanges,omitempty"`  // loadBalancerSourceRanges
	ExternalLocal bool           `json:"externalLocal,omitempty"` // externalTrafficPolicy: Local
	InternalLocal bool           `json:"internalLocal,omitempty"` // internalTrafficPolicy: Local
	Affinity      uint32         `json:"affinity,omitempty"`      // seconds of sessionAffinity ClientIP; 0: none
	HealthPort    uint16         `json:"healthPort,omitempty"`    // healthCheckNodePort
	Proxy         string         `json:"proxy,omitempty"`         // label service.kubernetes.io/service-proxy-name: who carries it instead of kube-proxy
	Headless      bool           `json:"headless,omitempty"`      // label service.kubernetes.io/headless, for which kube-proxy does not ask
	Ports         []ServicePort  `json:"ports,omitempty"`
}

// ServicePort is one port of a Service.
type ServicePort struct {
	Name     string `json:"name,omitempty"`
	Protocol string `json:"protocol"` // tcp, udp or sctp
	Port     uint16 `json:"port"`
	NodePort uint16 `json:"nodePort,omitempty"`
}

// EndpointSlice is one EndpointSlice of address type IPv4 or IPv6 that names its Service.
type EndpointSlice struct {
	Name      string         `json:"name"`    // its own, without the namespace
	Service   string         `json:"service"` // namespace/name, by the label kubernetes.io/service-name
	Family    int            `json:"family"`  // 4 or 6
	Proxy     string         `json:"proxy,omitempty"`
	Headless  bool           `json:"headless,omitempty"`
	Ports     []EndpointPort `json:"ports,omitempty"` // those that have a name, which may be empty, and a number
	Endpoints []Endpoint     `json:"endpoints,omitempty"`
}

// EndpointPort is one port of an EndpointSlice; its Name is that of the Service's port.
type EndpointPort struct {
	Name     string `json:"name,omitempty"`
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
}

// Endpoint is one endpoint, by its first address, the only one that kube-proxy looks at. The conditions have the values that kube-proxy gives to those that
// the API left out: ready, serving, not terminating (addEndpoints of pkg/proxy/endpointslicecache.go).
type Endpoint struct {
	Addr        netip.Addr `json:"addr"`
	Ready       bool       `json:"ready,omitempty"`
	Serving     bool       `json:"serving,omitempty"`
	Terminating bool       `json:"terminating,omitempty"`
	Node        string     `json:"node,omitempty"`
	*Hints                 // nil for none, as most have: there are very many endpoints
}

// Hints say for whom an endpoint is. Their methods may be called of none.
type Hints struct {
	ForZones []string `json:"forZones,omitempty"`
	ForNodes []string `json:"forNodes,omitempty"`
}

// Zones are those that it is for; nil: it has no such hint.
func (h *Hints) Zones() []string {
	if h == nil {
		return nil
	}
	return h.ForZones
}

// Nodes are those that it is for; nil: it has no such hint.
func (h *Hints) Nodes() []string {
	if h == nil {
		return nil
	}
	return h.ForNodes
}
