package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/cluster"
	"github.com/netmend/netmend/pkg/nodereport"
)

// maxReport is how large a report's JSON may be to be looked at: the daemon's bound, and as much again for what the API server writes to it.
const maxReport = 4 * nodereport.MaxBytes

// view is what is kept of the objects that a cluster is judged by.
type view struct {
	input  cluster.Input
	items  int
	intern intern // what nodes say alike
}

func (v *view) join(o *view) {
	a, b := &v.input, &o.input
	a.Reports, a.Nodes = append(a.Reports, b.Reports...), append(a.Nodes, b.Nodes...)
	a.Proxy.Pods, a.Proxy.DaemonSets = append(a.Proxy.Pods, b.Proxy.Pods...), append(a.Proxy.DaemonSets, b.Proxy.DaemonSets...)
	for name, why := range b.Broken {
		broken(a, name, why)
	}
}

// encoded is the JSON of one object, in memory or on its way. It is decoded once, unless again says that it may be more often; its size is known behind that.
type encoded struct {
	decode func(into any) error
	size   func() int
	again  bool
}

// take keeps what is needed of an object. One kind of objects is written by nodes, any of which may be a stranger's: a report that makes no sense is told, and
// keeps nobody from reading the others.
func (v *view) take(kind string, text encoded) error {
	if v.items++; v.items > maxItems {
		return ErrTooLarge
	}
	switch kind {
	case nodereport.Kind:
		return v.report(text)
	case kindNode:
		var o nodeObject
		if err := text.decode(&o); err != nil {
			return fmt.Errorf("a Node: %w", err)
		}
		n, err := o.node()
		v.input.Nodes = append(v.input.Nodes, n)
		return err
	case kindPod, kindDaemonSet:
		var o object
		if err := text.decode(&o); err != nil {
			return fmt.Errorf("a %s: %w", kind, err)
		}
		v.proxy(kind, &o)
	}
	return nil
}

func (v *view) report(text encoded) error {
	var r nodereport.Report
	err := text.decode(&r)
	if r.Metadata.Name == "" && err != nil && text.again { // what makes no sense may stand before the name
		var head struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		_ = text.decode(&head) // the error is known
		r.Metadata.Name = head.Metadata.Name
	}
	switch n := text.size(); {
	case r.Metadata.Name == "" && err != nil:
		return fmt.Errorf("a report: %w", err)
	case r.Metadata.Name == "":
		return errors.New("a report without a name")
	case n > maxReport:
		broken(&v.input, r.Metadata.Name, fmt.Sprintf("it has %d KiB, and the most is %d KiB", n>>10, maxReport>>10))
	case err != nil:
		broken(&v.input, r.Metadata.Name, err.Error())
	default:
		v.alike(&r)
		v.input.Reports = append(v.input.Reports, r)
	}
	return nil
}

// alike keeps once what many nodes say in the same words.
func (v *view) alike(r *nodereport.Report) {
	if v.intern == nil {
		v.intern = intern{}
	}
	s := &r.Status
	words := []*string{&r.APIVersion, &r.Kind, &s.Mode, (*string)(&s.State), &s.Versions.Netmend, &s.Versions.Kernel, &s.Network.CNI, &s.Network.ProxyMode}
	for i := range s.Findings {
		f := &s.Findings[i]
		words = append(words, &f.Check, &f.Message, &f.Plan)
	}
	for i := range s.Network.Tunnels {
		t := &s.Network.Tunnels[i]
		words = append(words, &t.Name, &t.Kind, &t.Uplink)
	}
	for _, w := range words {
		*w = v.intern.share(*w)
	}
	s.Findings = slices.Clip(s.Findings)
	r.Metadata.ResourceVersion = ""
}

func broken(in *cluster.Input, name, why string) {
	if in.Broken == nil {
		in.Broken = map[string]string{}
	}
	in.Broken[name] = strings.ToValidUTF8(why[:min(len(why), maxReason)], "")
}

func (v *view) proxy(kind string, o *object) {
	p := &v.input.Proxy
	if kind == kindDaemonSet {
		if isProxy(o) {
			p.DaemonSets = append(p.DaemonSets, cluster.DaemonSet{Name: o.name(), PriorityClass: o.Spec.Template.Spec.PriorityClass, Desired: o.Status.Desired})
		}
		return
	}
	if x, ok := toProxyPod(o); ok {
		p.Pods = append(p.Pods, cluster.ProxyPod{
			Name: x.Name, Node: x.node, Phase: x.Phase, Reason: x.Reason, Ready: x.Ready, Since: x.since, Owner: x.DaemonSet, Class: x.PriorityClass,
		})
	}
}

// nodeObject is the part of a Node that is needed.
type nodeObject struct {
	Metadata struct {
		Name        string             `json:"name"`
		UID         string             `json:"uid"`
		Created     string             `json:"creationTimestamp"`
		Annotations flannelAnnotations `json:"annotations"`
		Managed     []struct {
			Manager string `json:"manager"`
			Time    string `json:"time"`
		} `json:"managedFields"`
	} `json:"metadata"`
	Spec struct {
		PodCIDR  string   `json:"podCIDR"`
		PodCIDRs []string `json:"podCIDRs"`
	} `json:"spec"`
	Status struct {
		Addresses []struct {
			Type    string `json:"type"`
			Address string `json:"address"`
		} `json:"addresses"`
		Conditions []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
		} `json:"conditions"`
		Info struct {
			OS     string `json:"operatingSystem"`
			Kernel string `json:"kernelVersion"`
		} `json:"nodeInfo"`
	} `json:"status"`
}

// flannelAnnotations are written by flanneld (pkg/subnet/kube/annotations.go of flannel), with its default prefix.
type flannelAnnotations struct {
	Backend     string `json:"flannel.alpha.coreos.com/backend-type"`
	Data        string `json:"flannel.alpha.coreos.com/backend-data"`
	Public      string `json:"flannel.alpha.coreos.com/public-ip"`
	Overwrite   string `json:"flannel.alpha.coreos.com/public-ip-overwrite"`
	DataV6      string `json:"flannel.alpha.coreos.com/backend-v6-data"`
	PublicV6    string `json:"flannel.alpha.coreos.com/public-ipv6"`
	OverwriteV6 string `json:"flannel.alpha.coreos.com/public-ipv6-overwrite"`
}

func (o *nodeObject) node() (cluster.Node, error) {
	n := cluster.Node{Name: o.Metadata.Name, UID: o.Metadata.UID, Created: moment(o.Metadata.Created), OS: o.Status.Info.OS, Kernel: o.Status.Info.Kernel}
	if n.Name == "" {
		return n, errors.New("a Node without a name")
	}
	for _, kind := range []string{"InternalIP", "ExternalIP"} {
		for _, a := range o.Status.Addresses {
			if a.Type != kind {
				continue
			}
			ip, err := address(a.Address)
			if err != nil {
				return n, fmt.Errorf("node %.200s: %w", n.Name, err)
			}
			n.Addresses = append(n.Addresses, ip)
		}
		if kind == "InternalIP" {
			n.Internal = len(n.Addresses)
		}
	}
	cidrs := o.Spec.PodCIDRs
	if len(cidrs) == 0 && o.Spec.PodCIDR != "" {
		cidrs = []string{o.Spec.PodCIDR}
	}
	for _, text := range cidrs {
		p, err := prefix(text)
		if err != nil {
			return n, fmt.Errorf("node %.200s: %w", n.Name, err)
		}
		n.PodCIDRs = append(n.PodCIDRs, p)
	}
	for _, c := range o.Status.Conditions {
		n.Ready = n.Ready || c.Type == "Ready" && c.Status == "True"
	}
	if a := &o.Metadata.Annotations; a.Backend != "" {
		n.Flannel = a.flannel()
		for _, m := range o.Metadata.Managed {
			if t := moment(m.Time); strings.Contains(m.Manager, "flannel") && t.After(n.Flannel.Written) {
				n.Flannel.Written = t
			}
		}
	}
	return n, nil
}

// moment is the zero time where the text is none.
func moment(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (a *flannelAnnotations) flannel() *cluster.Flannel {
	f := &cluster.Flannel{Backend: a.Backend}
	var err4, err6 error
	f.V4, err4 = vtep(a.Data, a.Public, a.Overwrite)
	f.V6, err6 = vtep(a.DataV6, a.PublicV6, a.OverwriteV6)
	if err := errors.Join(err4, err6); err != nil {
		f.Error = strings.Join(strings.Split(err.Error(), "\n"), "; ")
	}
	return f
}

// vtep is nil for a family that flannel does not have. Backends other than vxlan have other data or none ("null").
func vtep(data, public, overwrite string) (*cluster.VTEP, error) {
	if data == "" && public == "" {
		return nil, nil
	}
	v := &cluster.VTEP{Overwrite: overwrite != ""}
	var err error
	if public != "" {
		if v.Public, err = address(public); err != nil {
			return nil, fmt.Errorf("public-ip: %w", err)
		}
	}
	var d struct {
		VNI json.Number `json:"VNI"`
		MAC string      `json:"VtepMAC"`
	}
	if data != "" {
		if err := json.Unmarshal([]byte(data), &d); err != nil {
			return nil, fmt.Errorf("backend-data %.100q is no JSON of flannel's", data)
		}
	}
	if d.VNI != "" {
		vni, err := strconv.ParseUint(d.VNI.String(), 10, 24)
		if err != nil {
			return nil, fmt.Errorf("backend-data: VNI %.20q", d.VNI)
		}
		v.VNI = uint32(vni)
	}
	v.MAC = d.MAC
	return v, nil
}
