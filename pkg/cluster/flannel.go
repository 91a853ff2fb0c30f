package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/nodereport"
)

// FlannelIdentity finds a tunnel end that is not what flannel told the other nodes.
var FlannelIdentity = &Check{
	Name:     "flannel-fdb-neigh",
	Title:    "A node's flannel tunnel is not what its annotations tell the others",
	Since:    since,
	Severity: check.Critical,
	Needs:    []Source{Reports, Nodes},
	notApplicable: func(v *view) string {
		for _, n := range v.nodes {
			if n.Flannel != nil && n.Flannel.Backend == "vxlan" {
				return ""
			}
		}
		return "no node has annotations of flannel's vxlan backend"
	},
	Doc: `
flanneld writes the MAC address and the public address of its tunnel end to annotations of its Node. The flanneld of every other node makes a neighbour and a
forwarding entry of them. Where the device is not what the annotations say, packets to that node's pods are dropped on arrival, or leave for an address that nobody
has.

**How it is seen.** Pods of one node are not reached from any other. ~ip -d link show flannel.1~ on the node and ~kubectl get node NODE -o yaml~ differ.

**Why.** systemd 242 and later give virtual devices a MAC address of their own after flanneld has read it (flannel-io/flannel#1155), unless a link file says
~MACAddressPolicy=none~. A second address on the uplink, or one that DHCP has changed, lets flanneld choose another one than before. Cloned machines write the same.

**What is judged.** On nodes with flannel's vxlan backend, against what the node reports: the device of the annotated VNI has another MAC address or sends from
another address than the annotations say; two nodes announce the same MAC address or the same public address; they announce different VNIs, or their devices have
different ports: critical. A node that announces another backend than the others: a warning, because flannel passes over such nodes.

**Fix.** ~kubectl -n kube-flannel delete pod~ of that node: flanneld makes device and annotations agree, and the others follow within seconds.

**When it is no fault.** Within a minute of flanneld's last write to the Node; ~public-ip-overwrite~, with which an administrator names an address that the node
itself need not have; a device that sends from any address; annotations of a node that is not ready. That the neighbours and forwarding entries of the others
follow the annotations is not seen here.
`,
	partial: linksOmitted,
	run:     runFlannel,
}

// fresh is how long annotations and device may differ after flanneld has written.
const fresh = time.Minute

func (v *view) flannels() (out []*Node) {
	for _, name := range sorted(v.nodes) {
		if n := v.nodes[name]; n.Flannel != nil && n.Ready && (n.Flannel.Written.IsZero() || v.in.Now.Sub(n.Flannel.Written) >= fresh) {
			out = append(out, n)
		}
	}
	return out
}

func runFlannel(v *view) (out []Finding) {
	nodes := v.flannels()
	reports := map[string]*nodereport.Report{}
	for _, r := range v.current {
		reports[r.Metadata.Name] = r
	}
	for _, n := range nodes {
		r := reports[n.Name]
		if n.Flannel.Error != "" {
			f := finding(check.Warning, n.Name, []string{n.Name}, "flannel's annotations of %s make no sense: %s", n.Name, n.Flannel.Error)
			f.Fixes = []fix.Fix{restartFlannel(n.Name)}
			out = append(out, f)
		}
		if r == nil || n.Flannel.Backend != "vxlan" {
			continue
		}
		for _, e := range []*VTEP{n.Flannel.V4, n.Flannel.V6} {
			if e == nil || e.MAC == "" {
				continue
			}
			if f, ok := ownEnd(n.Name, e, r.Status.Network.Tunnels); ok {
				out = append(out, f)
			}
		}
	}
	return slices.Concat(out, sameAnnounced(nodes), differentAnnounced(nodes, reports))
}

// ownEnd compares a node's device with what its annotations say of one family.
func ownEnd(node string, e *VTEP, tunnels []nodereport.Tunnel) (Finding, bool) {
	var t *nodereport.Tunnel
	for i := range tunnels {
		x := &tunnels[i]
		if x.Kind != "vxlan" || x.ID != e.VNI || x.Local.IsValid() && e.Public.IsValid() && x.Local.Unmap().Is4() != e.Public.Is4() {
			continue
		}
		if t == nil || strings.EqualFold(x.MAC, e.MAC) {
			t = x
		}
	}
	if t == nil {
		return Finding{}, false // the report may have no room for it, and what the device is called is flannel's business
	}
	mac := t.MAC != "" && !strings.EqualFold(t.MAC, e.MAC)
	local := t.Local.IsValid() && !t.Local.IsUnspecified() && e.Public.IsValid() && !e.Overwrite && t.Local.Unmap() != e.Public
	if !mac && !local {
		return Finding{}, false
	}
	what := "sends from " + t.Local.String() + ", and flannel told the others " + e.Public.String()
	if mac {
		what = "has the MAC address " + t.MAC + ", and flannel told the others " + e.MAC
	}
	f := finding(check.Critical, node, []string{node}, "%s of %s %s: packets to its pods are lost", t.Name, node, what)
	if mac {
		f.prove("MAC address of "+t.Name, t.MAC, e.MAC+", as backend-data says")
	}
	if local {
		f.prove("address from which "+t.Name+" sends", t.Local.String(), e.Public.String()+", as public-ip says")
	}
	f.Fixes = []fix.Fix{restartFlannel(node)}
	return f, true
}

func restartFlannel(node string) fix.Fix {
	return fix.Fix{Title: "restart flannel on " + node + ", so that it makes its device and its annotations anew", Cost: "a few seconds without packets to and from other nodes' pods", Advice: []string{
		"kubectl -n kube-flannel delete pod -l app=flannel --field-selector spec.nodeName=" + word(node),
	}}
}

// sameAnnounced finds MAC addresses and public addresses that two nodes announce.
func sameAnnounced(nodes []*Node) (out []Finding) {
	macs, public := map[string][]string{}, map[netip.Addr][]string{}
	for _, n := range nodes {
		for _, e := range []*VTEP{n.Flannel.V4, n.Flannel.V6} {
			if e == nil {
				continue
			}
			if e.MAC != "" {
				k := fmt.Sprintf("%s of VNI %d", strings.ToLower(e.MAC), e.VNI)
				macs[k] = append(macs[k], n.Name)
			}
			if e.Public.IsValid() {
				public[e.Public] = append(public[e.Public], n.Name)
			}
		}
	}
	for _, k := range sorted(macs) {
		owners := slices.Compact(macs[k]) // one node may announce it for both families
		if len(owners) > 1 {
			f := finding(check.Critical, k, owners, "%s announce the same MAC address %s: a packet for one is taken for the other's", list(owners), k)
			f.prove("backend-data with "+k, list(owners), "one node")
			f.Fixes = []fix.Fix{remakeFlannel(owners[len(owners)-1])}
			out = append(out, f)
		}
	}
	for _, a := range addressesIn(public) {
		if owners := slices.Compact(public[a]); len(owners) > 1 {
			f := finding(check.Critical, a.String(), owners, "%s announce the same public address %s to flannel: packets for the pods of all go to one", list(owners), a)
			f.prove("public-ip "+a.String(), list(owners), "one node")
			f.Fixes = []fix.Fix{{Title: "tell flannel the link or network to take the address from: --iface or --iface-regex among its arguments", Cost: "flannel restarts on all nodes", Advice: []string{
				"kubectl -n kube-flannel edit daemonset kube-flannel-ds", "kubectl get nodes -o yaml | grep -F flannel.alpha.coreos.com/public-ip",
			}}}
			out = append(out, f)
		}
	}
	return out
}

func remakeFlannel(node string) fix.Fix {
	f := restartFlannel(node)
	f.Title = "on " + node + ", remove the device, and restart flannel there"
	f.Advice = append([]string{"ip link del flannel.1   # on " + node}, f.Advice...)
	return f
}

// differentAnnounced finds nodes with another backend, VNI or port than the rest.
func differentAnnounced(nodes []*Node, reports map[string]*nodereport.Report) (out []Finding) {
	backends, vnis, ports := map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, n := range nodes {
		if n.Flannel.Backend != "" {
			backends[n.Flannel.Backend] = append(backends[n.Flannel.Backend], n.Name)
		}
		e := n.Flannel.V4
		if n.Flannel.Backend != "vxlan" || e == nil || e.MAC == "" {
			continue
		}
		vni := fmt.Sprint(e.VNI)
		vnis[vni] = append(vnis[vni], n.Name)
		if r := reports[n.Name]; r != nil {
			for _, t := range r.Status.Network.Tunnels {
				if t.Kind == "vxlan" && t.ID == e.VNI && strings.EqualFold(t.MAC, e.MAC) {
					ports[fmt.Sprint(t.Port)] = append(ports[fmt.Sprint(t.Port)], n.Name)
				}
			}
		}
	}
	for _, x := range []struct {
		what, so string
		severity check.Severity
		by       map[string][]string
	}{
		{"flannel backend", "nodes of another backend are passed over, so that no packet reaches their pods", check.Warning, backends},
		{"flannel VNI", "nodes with another one do not take each other's packets", check.Critical, vnis},
		{"flannel port", "nodes with another one do not get each other's packets", check.Critical, ports},
	} {
		if len(x.by) < 2 {
			continue
		}
		f := finding(x.severity, x.what, rarest(x.by), "nodes have different values of %s: %s", x.what, x.so)
		for _, value := range sorted(x.by) {
			f.prove(x.what+" "+value, list(x.by[value]), "")
		}
		f.Fixes = []fix.Fix{{Title: "give all nodes the same net-conf.json, and restart flannel", Cost: "a few seconds without packets between nodes", Advice: []string{
			"kubectl -n kube-flannel get configmap kube-flannel-cfg -o jsonpath='{.data.net-conf\\.json}'", "kubectl -n kube-flannel rollout restart daemonset kube-flannel-ds",
		}}}
		out = append(out, f)
	}
	return out
}
