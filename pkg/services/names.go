package services

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/services/internal/chainhash"
)

// Names of chains of iptables mode, of the table nat unless said otherwise (iptables/proxier.go).
const (
	ChainServices         = "KUBE-SERVICES"          // of nat where a Service has endpoints, of filter where it has none
	ChainNodePorts        = "KUBE-NODEPORTS"         // of nat; in filter it lets health checks in
	ChainExternalServices = "KUBE-EXTERNAL-SERVICES" // of filter
	ChainProxyFirewall    = "KUBE-PROXY-FIREWALL"    // of filter
	ChainMarkMasq         = "KUBE-MARK-MASQ"
	ChainPostrouting      = "KUBE-POSTROUTING"

	PrefixCluster  = "KUBE-SVC-" // to the endpoints of policy Cluster
	PrefixLocal    = "KUBE-SVL-" // to those of policy Local
	PrefixExternal = "KUBE-EXT-" // from outside the cluster
	PrefixFirewall = "KUBE-FW-"  // of load balancers with source ranges
	PrefixEndpoint = "KUBE-SEP-"
)

// Names of nftables mode (nftables/proxier.go).
const (
	TableNFT            = "kube-proxy"
	MapServiceIPs       = "service-ips"
	MapServiceNodePorts = "service-nodeports"
	MapNoEndpoints      = "no-endpoint-services"
	MapNoEndpointPorts  = "no-endpoint-nodeports"
	MapFirewallIPs      = "firewall-ips"
	SetClusterIPs       = "cluster-ips"
	SetNodePortIPs      = "nodeport-ips"

	NFTPrefixCluster  = "service-"
	NFTPrefixLocal    = "local-"
	NFTPrefixExternal = "external-"
	NFTPrefixEndpoint = "endpoint-"
	NFTPrefixAffinity = "affinity-"
	NFTPrefixFirewall = "firewall-"
)

// DummyLink is the link that has every virtual IP of IPVS mode (ipvs/proxier.go).
const DummyLink = "kube-ipvs0"

// longestBase is from where nftables mode cuts a name: 256 of the kernel less a prefix of 16 (chainNameBaseLengthMax).
const longestBase = 240

// PortName is how kube-proxy names a port of a Service: "namespace/name:port", or "namespace/name" for the port without a name (ServicePortName.String).
func PortName(service, port string) string {
	if port == "" {
		return service
	}
	return service + ":" + port
}

// PortHash is the end of the names of a Service port's chains in iptables mode (portProtoHash).
func PortHash(name, protocol string) string { return hash(name+protocol, 16) }

// EndpointHash is the end of the name of an endpoint's chain in iptables mode (servicePortEndpointChainName).
func EndpointHash(name, protocol string, endpoint netip.AddrPort) string {
	return hash(name+protocol+endpoint.String(), 16)
}

func hash(text string, length int) string {
	return chainhash.Of(text)[:length]
}

// NFTPort is the end of the names of a Service port's chains in nftables mode (servicePortChainNameBase); empty for a name without a namespace.
func NFTPort(name, protocol string) string {
	base, ok := nftBase(name, protocol)
	if !ok {
		return ""
	}
	return hashed(base)
}

// NFTEndpoint is the end of the names of an endpoint's chain and affinity set in nftables mode (servicePortEndpointChainNameBase).
func NFTEndpoint(name, protocol string, endpoint netip.AddrPort) string {
	base, ok := nftBase(name, protocol)
	if !ok {
		return ""
	}
	return string(appendNFTEndpoint(nil, base, endpoint, chainhash.Sum256))
}

// appendNFTEndpoint appends what [NFTEndpoint] gives. The base is what [NFTPort] has behind its hash, "namespace/name/protocol/port".
func appendNFTEndpoint(name []byte, base string, endpoint netip.AddrPort, sum256 func([]byte) [32]byte) []byte {
	from := len(name)
	name = append(append(name, "01234567-"...), base...)
	name = append(name, "__"...)
	addr := len(name)
	name = endpoint.Addr().AppendTo(name)
	for i, c := range name[addr:] {
		if c == ':' {
			name[addr+i] = '.'
		}
	}
	name = strconv.AppendUint(append(name, '/'), uint64(endpoint.Port()), 10)
	return cut(name, from, sum256)
}

func nftBase(name, protocol string) (string, bool) {
	service, port, _ := strings.Cut(name, ":")
	return service + "/" + protocol + "/" + port, strings.Contains(service, "/")
}

// SplitNFT takes apart what names of chains in nftables mode have behind the hash: "namespace/name/protocol/port". Not ok where it is no such name.
func SplitNFT(base string) (service, protocol, port string, ok bool) {
	namespace, rest, _ := strings.Cut(base, "/")
	name, rest, _ := strings.Cut(rest, "/")
	protocol, port, ok = strings.Cut(rest, "/")
	if !ok {
		return "", "", "", false
	}
	return base[:len(namespace)+1+len(name)], protocol, port, true
}

func hashed(base string) string { return string(cut([]byte("01234567-"+base), 0, chainhash.Sum256)) }

// cut puts the hash of what stands behind the place for it into that place, and shortens what is too long.
func cut(name []byte, from int, sum256 func([]byte) [32]byte) []byte {
	sum := chainhash.Text(sum256(name[from+9:]))
	copy(name[from:from+8], sum[:])
	if len(name)-from > longestBase {
		name = append(name[:from+longestBase-3], "..."...)
	}
	return name
}
