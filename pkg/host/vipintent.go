package host

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"regexp"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// Where the address of a Service is known from that nobody told.
const (
	SourceDefault  = "default"
	SourceManifest = "kube-apiserver manifest --service-cluster-ip-range"
	SourceKubelet  = "kubelet config clusterDNS"
)

// kubernetesService is the port of the API server's Service, which every cluster has.
const kubernetesService = "default/kubernetes:https"

// DefaultServices are the Services that pods on every node need: the API server's and DNS. Their addresses are known where the node's files give them;
// else they are the zero Addr. The API server's is the first of the Service range, DNS is what kubelet tells pods, else what kubeadm
// chooses, the tenth.
func (h *Host) DefaultServices() ([]facts.ServiceIntent, error) {
	manifest, err := h.optional("/etc/kubernetes/manifests/kube-apiserver.yaml")
	if err != nil {
		return nil, fmt.Errorf("read the Service range: %w", err)
	}
	kubelet, err := h.optional("/var/lib/kubelet/config.yaml")
	if err != nil {
		return nil, fmt.Errorf("read kubelet's configuration: %w", err)
	}
	api := facts.ServiceIntent{Name: kubernetesService, Port: 443, Protocol: "tcp", Source: SourceDefault}
	dns := facts.ServiceIntent{Name: "kube-system/kube-dns:dns", Port: 53, Protocol: "udp", Source: SourceDefault}
	cidr := serviceRange(manifest)
	if cidr.IsValid() {
		api.VIP, api.Source = nth(cidr, 1), SourceManifest
		dns.VIP, dns.Source = nth(cidr, 10), SourceManifest
	}
	// NodeLocal DNSCache has kubelet tell a link-local address, which is no Service. Nor is one outside the Service range.
	if a := clusterDNS(kubelet); a.IsValid() {
		dns.VIP, dns.Source = netip.Addr{}, SourceDefault
		if !a.IsLinkLocalUnicast() && !a.IsLoopback() && (!cidr.IsValid() || cidr.Contains(a)) {
			dns.VIP, dns.Source = a, SourceKubelet
		}
	}
	overTCP := dns
	overTCP.Name, overTCP.Protocol = "kube-system/kube-dns:dns-tcp", "tcp"
	return []facts.ServiceIntent{api, dns, overTCP}, nil
}

// optional reads a file of the node; nothing where it does not exist.
func (h *Host) optional(path string) ([]byte, error) {
	data, err := h.readIn(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// serviceRange finds the first, primary range of the flag in a static pod's manifest; the zero Prefix where there is none.
func serviceRange(manifest []byte) netip.Prefix {
	if len(manifest) == 0 { // as on every node without a control plane: nothing to compile the expression for
		return netip.Prefix{}
	}
	m := regexp.MustCompile(`--service-cluster-ip-range[= ]"?([0-9a-fA-F.:/]+)`).FindSubmatch(manifest)
	if m == nil {
		return netip.Prefix{}
	}
	p, err := netip.ParsePrefix(string(m[1]))
	if err != nil {
		return netip.Prefix{}
	}
	return p.Masked()
}

func nth(p netip.Prefix, n int) netip.Addr {
	a := p.Addr()
	for range n {
		a = a.Next()
	}
	if !p.Contains(a) {
		return netip.Addr{}
	}
	return a
}

// clusterDNS finds the first address of clusterDNS in a KubeletConfiguration, in the forms of YAML in which kubeadm, people and JSON write it. A YAML
// library would weigh more than the CNI plugin that this is linked into.
func clusterDNS(config []byte) netip.Addr {
	if bytes.HasPrefix(bytes.TrimSpace(config), []byte("{")) {
		var c struct {
			ClusterDNS []string `json:"clusterDNS"`
		}
		if json.Unmarshal(config, &c) != nil || len(c.ClusterDNS) == 0 {
			return netip.Addr{}
		}
		return parseAddr(c.ClusterDNS[0])
	}
	inside := false
	for line := range strings.Lines(string(config)) {
		line, _, _ = strings.Cut(strings.TrimRight(line, " \r\n"), " #")
		if rest, ok := strings.CutPrefix(line, "clusterDNS:"); ok {
			rest = strings.Trim(strings.TrimSpace(rest), "[]")
			if rest != "" {
				first, _, _ := strings.Cut(rest, ",")
				return parseAddr(first)
			}
			inside = true
			continue
		}
		if !inside || strings.TrimSpace(line) == "" {
			continue
		}
		item, ok := strings.CutPrefix(strings.TrimSpace(line), "-")
		if !ok {
			return netip.Addr{}
		}
		return parseAddr(item)
	}
	return netip.Addr{}
}

func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(strings.Trim(strings.TrimSpace(s), `"'`))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
