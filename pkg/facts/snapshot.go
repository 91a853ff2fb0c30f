package facts

import (
	"net/netip"
	"slices"
	"sort"
	"time"
)

// Schema is the version of the snapshot document that this code writes. [Decode] refuses others.
const Schema = 1

// Snapshot is everything that was read from one node. It is immutable once collected: a check never changes it, and a fix is applied to a [Snapshot.Clone].
type Snapshot struct {
	Schema int       `json:"schema"`
	Note   string    `json:"note,omitempty"` // free text of whoever took it
	Taken  time.Time `json:"taken"`
	Node   Node      `json:"node"`
	Intent Intent    `json:"intent"`

	Kinds   []Kind          `json:"kinds"`             // what was asked for
	Missing map[Kind]string `json:"missing,omitempty"` // asked for and unreadable on the node or in its own namespace, and why
	Window  *Window         `json:"window,omitempty"`  // nil: one sample, no deltas

	Host Namespace   `json:"host"`           // the node's own network namespace
	Pods []Namespace `json:"pods,omitempty"` // those of its pods, in the order of their inode numbers

	NeighbourTable *NeighbourTable `json:"neighbourTable,omitempty"`
	ServiceVIPs    []ServiceVIP    `json:"serviceVIPs,omitempty"`
	ServiceRules   *ServiceRules   `json:"serviceRules,omitempty"`
	Proxy          *Proxy          `json:"proxy,omitempty"`
	CNI            *CNI            `json:"cni,omitempty"`
	IPAM           *IPAM           `json:"ipam,omitempty"`
	Agents         []Agent         `json:"agents,omitempty"`
	SysctlFiles    []SysctlSetting `json:"sysctlFiles,omitempty"`
}

// Ref names one kernel object. Namespace inode and interface index identify it; the name is for people. An object that is not a link (a
// sysctl, a file) has Index 0 and its own name. The zero Ref is the node.
type Ref struct {
	NetNS uint64 `json:"netns"`
	Index int    `json:"index"`
	Name  string `json:"name"`
}

// Node says what the node is. Every field may be empty where it could not be learned.
type Node struct {
	Name         string `json:"name"`
	Kernel       string `json:"kernel"`       // uname -r
	Distribution string `json:"distribution"` // PRETTY_NAME of os-release
	BootID       string `json:"bootID,omitempty"`
	Memory       uint64 `json:"memory,omitempty"` // bytes
	CPUs         int    `json:"cpus,omitempty"`
	Privileged   bool   `json:"privileged"` // read as root
	Kubelet      bool   `json:"kubelet"`    // a kubelet is running or has left its configuration
}

// Intent is what was configured or asked for, as opposed to what the kernel holds.
type Intent struct {
	PodCIDRs    []netip.Prefix  `json:"podCIDRs,omitempty"`    // of the cluster's pods
	NodePodCIDR []netip.Prefix  `json:"nodePodCIDR,omitempty"` // of this node's pods
	Services    []ServiceIntent `json:"services,omitempty"`    // the virtual IPs that must work on every node
	Cluster     *Cluster        `json:"cluster,omitempty"`     // everything that the API wants; nil where nobody told
	Trace       bool            `json:"trace,omitempty"`       // the links of each [ServicePath] are wanted too
}

// ServiceIntent is one virtual IP that must be carried. VIP is the zero Addr where only the name is known.
type ServiceIntent struct {
	Name     string     `json:"name"` // namespace/name:port, as kube-proxy names it: "default/kubernetes:https"
	VIP      netip.Addr `json:"vip"`
	Port     uint16     `json:"port"`
	Protocol string     `json:"protocol"` // tcp, udp or sctp
	Source   string     `json:"source"`   // where it is known from: a flag, a file, or "default"
}

// Window is the time between the two samples from which deltas were made.
type Window struct {
	Seconds float64 `json:"seconds"`
}

// Has says whether the kind was asked for and read on the node itself.
func (s *Snapshot) Has(k Kind) bool {
	if _, missing := s.Missing[k]; missing {
		return false
	}
	return slices.Contains(s.Kinds, k)
}

// PodHas says whether the kind was asked for and read in the pod's namespace.
func (s *Snapshot) PodHas(pod *Namespace, k Kind) bool {
	if _, missing := pod.Missing[k]; missing {
		return false
	}
	return k.PerPod() && slices.Contains(s.Kinds, k)
}

// Namespace finds the namespace of an inode number, the node's own or a pod's; nil where the snapshot has none.
func (s *Snapshot) Namespace(inode uint64) *Namespace {
	if inode == s.Host.Inode {
		return &s.Host
	}
	i := at(len(s.Pods), func(i int) bool { return s.Pods[i].Inode >= inode }, func(i int) bool { return s.Pods[i].Inode == inode })
	if i < 0 {
		return nil
	}
	return &s.Pods[i]
}

// at finds the element that is the wanted one in a list that is in order as a rule: in few steps where it is, so that a report of thousands of pods
// stays linear, and by looking at all where the list was made by hand in another order. -1 where there is none.
func at(n int, notBefore, is func(int) bool) int {
	if i := sort.Search(n, notBefore); i < n && is(i) {
		return i
	}
	for i := range n {
		if is(i) {
			return i
		}
	}
	return -1
}
