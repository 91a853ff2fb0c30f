package scale

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

type object = map[string]any

func name(i int) string { return fmt.Sprintf("worker-%04d.pool-a.example.internal", i) }

func address(i int) netip.Addr { return netip.AddrFrom4([4]byte{172, 16, byte(i >> 8), byte(i)}) }

func podCIDR(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(64 + i>>8), byte(i), 0}), 24)
}

func mac(i int) string { return fmt.Sprintf("02:42:0a:00:%02x:%02x", i>>8, byte(i)) }

// node is a Node as a cloud's are: with the names of fifty images.
func node(i int) object {
	images := []object{}
	for n := range 50 {
		image := fmt.Sprintf("registry.example.internal/team-%d/service-%d", n%7, n)
		images = append(images, object{"names": []string{image + "@sha256:" + strings.Repeat("0123456789abcdef", 4), image + ":v1.2.3"}, "sizeBytes": 123456789 + n})
	}
	conditions := []object{}
	for _, c := range []string{"MemoryPressure", "DiskPressure", "PIDPressure", "Ready"} {
		status := "False"
		if c == "Ready" {
			status = "True"
		}
		conditions = append(conditions, object{"type": c, "status": status, "reason": "Kubelet" + c, "message": "kubelet says so", "lastHeartbeatTime": "2024-05-06T08:00:00Z", "lastTransitionTime": "2024-05-01T08:00:00Z"})
	}
	return object{
		"apiVersion": "v1", "kind": "Node",
		"metadata": object{"name": name(i), "labels": object{
			"kubernetes.io/hostname": name(i), "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": fmt.Sprint("zone-", i%3),
			"node.kubernetes.io/instance-type": "m6i.4xlarge",
		}, "annotations": object{
			"flannel.alpha.coreos.com/backend-type": "vxlan", "flannel.alpha.coreos.com/backend-data": fmt.Sprintf(`{"VNI":1,"VtepMAC":"%s"}`, mac(i)),
			"flannel.alpha.coreos.com/public-ip": address(i).String(), "flannel.alpha.coreos.com/kube-subnet-manager": "true",
		}},
		"spec": object{"podCIDR": podCIDR(i).String(), "podCIDRs": []string{podCIDR(i).String()}, "providerID": "cloud:///zone/" + name(i)},
		"status": object{
			"addresses":  []object{{"type": "InternalIP", "address": address(i).String()}, {"type": "Hostname", "address": name(i)}},
			"capacity":   object{"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"},
			"conditions": conditions, "images": images,
			"nodeInfo": object{
				"architecture": "amd64", "bootID": "b", "containerRuntimeVersion": "containerd://2.0.0", "kernelVersion": "6.1.0-18-cloud-amd64", "kubeProxyVersion": "v1.35.4",
				"kubeletVersion": "v1.35.4", "machineID": "m", "operatingSystem": "linux", "osImage": "Debian GNU/Linux 12 (bookworm)", "systemUUID": "s",
			},
		},
	}
}

// report is what a node with twenty findings says.
func report(i int) *nodereport.Report {
	since := time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC)
	on := true
	r := &nodereport.Report{
		APIVersion: nodereport.APIVersion, Kind: nodereport.Kind, Metadata: nodereport.Metadata{Name: name(i)},
		Status: nodereport.Status{
			State: status.Proven, Since: since, Mode: "audit", Info: 20, Versions: nodereport.Versions{Netmend: "v0.1.0", Kernel: "6.1.0-18-cloud-amd64"},
			Network: nodereport.Network{
				CNI: "cbr0", ProxyMode: "iptables", PodCIDRs: []netip.Prefix{podCIDR(i)}, PodMTU: []int{1450},
				Uplinks: []nodereport.Uplink{{Name: "eth0", MTU: 1500, MAC: mac(i), Addresses: []netip.Prefix{netip.PrefixFrom(address(i), 16)}}},
				Tunnels: []nodereport.Tunnel{{Name: "flannel.1", Kind: "vxlan", ID: 1, Port: 8472, Local: address(i), MAC: mac(i), MTU: 1450, Uplink: "eth0", TxChecksum: &on}},
			},
		},
	}
	for n := range 20 {
		r.Status.Findings = append(r.Status.Findings, nodereport.Finding{
			Check: "listen-overflow", Severity: check.Info, Object: fmt.Sprintf("namespace /run/netns/cni-%08x-%04x (service-%d, pid %d)", i*7919, n, n, 4000+n), Since: since,
			Message: "a listener's queue is now and then nearly full: connections to port 8080 may have to begin again", Plan: "nothing: it is advice, for whoever wrote the program",
		})
	}
	return r
}

// proxyPod is kube-proxy's pod of a node, as kubeadm's DaemonSet makes it.
func proxyPod(i int, daemonSet string) object {
	return object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": fmt.Sprintf("kube-proxy-%05d", i), "namespace": "kube-system", "labels": object{"k8s-app": "kube-proxy", "controller-revision-hash": "5f6b7c", "pod-template-generation": "1"},
			"ownerReferences": []object{{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "kube-proxy", "uid": daemonSet, "controller": true}}},
		"spec": object{
			"nodeName": name(i), "hostNetwork": true, "priorityClassName": "system-node-critical", "tolerations": []object{{"operator": "Exists"}},
			"containers": []object{{
				"name": "kube-proxy", "image": "registry.example.internal/kube-proxy:v1.35.4", "command": []string{"/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=$(NODE_NAME)"},
				"env":          []object{{"name": "NODE_NAME", "valueFrom": object{"fieldRef": object{"fieldPath": "spec.nodeName"}}}},
				"volumeMounts": []object{{"name": "kube-proxy", "mountPath": "/var/lib/kube-proxy"}, {"name": "xtables-lock", "mountPath": "/run/xtables.lock"}, {"name": "lib-modules", "mountPath": "/lib/modules", "readOnly": true}},
			}},
			"volumes": []object{
				{"name": "kube-proxy", "configMap": object{"name": "kube-proxy"}}, {"name": "xtables-lock", "hostPath": object{"path": "/run/xtables.lock", "type": "FileOrCreate"}},
				{"name": "lib-modules", "hostPath": object{"path": "/lib/modules"}},
			},
		},
	}
}

func daemonSet() object {
	labels := object{"k8s-app": "kube-proxy"}
	return object{
		"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": object{"name": "kube-proxy", "namespace": "kube-system", "labels": labels},
		"spec": object{"selector": object{"matchLabels": labels}, "template": object{"metadata": object{"labels": labels}, "spec": object{
			"priorityClassName": "system-node-critical", "containers": []object{{"name": "kube-proxy", "image": "registry.example.internal/kube-proxy:v1.35.4"}},
		}}},
	}
}
