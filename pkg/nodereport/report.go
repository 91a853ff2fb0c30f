// Package nodereport is what a node tells the cluster of itself, as plain data: the custom resource NodeNetworkReport. The daemon makes it, package kube writes it,
// and `netmendctl cluster` reads those of all nodes. Its size is bounded, and nothing in it changes while the node stays as it is.
package nodereport

import (
	"net/netip"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/status"
)

// The resource's names in the Kubernetes API. It is cluster-scoped and has the name of its Node.
const (
	Group      = "netmend.io"
	Version    = "v1alpha1"
	APIVersion = Group + "/" + Version
	Kind       = "NodeNetworkReport"
	Resource   = "nodenetworkreports"
)

// ClaimLabel is what the report of a node has while it is about to take the startup taint: the time in seconds since 1970.
const ClaimLabel = Group + "/network-not-ready-claim"

// MaxBytes is how much the JSON of one report may take, so that those of 5,000 nodes are no burden to etcd.
const MaxBytes = 16 << 10

// Report is one object. Fields are added, never changed.
type Report struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Status     Status   `json:"status"`
}

// Metadata is what of an object's metadata is read and written.
type Metadata struct {
	Name            string    `json:"name"`
	UID             string    `json:"uid,omitempty"`
	ResourceVersion string    `json:"resourceVersion,omitempty"`
	Created         time.Time `json:"creationTimestamp,omitzero"`
	Owners          []Owner   `json:"ownerReferences,omitempty"`

	Labels map[string]string `json:"labels,omitempty"` // ClaimLabel, for a moment
}

// Owner is the Node, so that the report goes with it.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// Status is what the node says.
type Status struct {
	State    status.State `json:"state"`
	Since    time.Time    `json:"since"` // of the state
	Mode     string       `json:"mode"`  // audit or fix
	Critical int          `json:"critical"`
	Warning  int          `json:"warning"`
	Info     int          `json:"info"`
	Mended   int          `json:"mended"` // fixes in force
	Versions Versions     `json:"versions"`
	Findings []Finding    `json:"findings,omitempty"` // the worst first
	Omitted  int          `json:"omitted,omitempty"`  // findings that have no room
	Network  Network      `json:"network"`
}

// Versions of what a cluster should have alike.
type Versions struct {
	Netmend string `json:"netmend"`
	Kernel  string `json:"kernel"`
}

// Finding is one finding that holds.
type Finding struct {
	Check    string         `json:"check"`
	Severity check.Severity `json:"severity"`
	Object   string         `json:"object"`
	Message  string         `json:"message"`
	Since    time.Time      `json:"since"`
	Plan     string         `json:"plan,omitempty"` // what is or would be done, or why nothing is
}

// Network is what other nodes' networks are compared with.
type Network struct {
	CNI          string         `json:"cni,omitempty"`          // name of the network in the container runtime's configuration
	ProxyMode    string         `json:"proxyMode,omitempty"`    // iptables, nftables, ipvs; empty: none was found
	PodCIDRs     []netip.Prefix `json:"podCIDRs,omitempty"`     // of this node's pods
	PodAddresses []netip.Addr   `json:"podAddresses,omitempty"` // of pods, in order, each once: those outside of PodCIDRs; all where no PodCIDRs are known
	PodsOmitted  int            `json:"podsOmitted,omitempty"`  // addresses of pods outside of PodCIDRs that have no room in PodAddresses
	Uplinks      []Uplink       `json:"uplinks,omitempty"`
	Tunnels      []Tunnel       `json:"tunnels,omitempty"`
	PodMTU       []int          `json:"podMTU,omitempty"`       // that pods' links have, each once, in order
	LinksOmitted int            `json:"linksOmitted,omitempty"` // uplinks and tunnels that have no room
}

// Uplink is a link by which the node reaches others.
type Uplink struct {
	Name      string         `json:"name"`
	MTU       int            `json:"mtu"`
	MAC       string         `json:"mac,omitempty"`
	Addresses []netip.Prefix `json:"addresses,omitempty"` // with the length of the network's prefix
}

// Tunnel is a link that carries pods' packets to other nodes.
type Tunnel struct {
	Name   string     `json:"name"`
	Kind   string     `json:"kind"` // vxlan, geneve, ipip, ...
	ID     uint32     `json:"id,omitempty"`
	Port   uint16     `json:"port,omitempty"`
	Local  netip.Addr `json:"local,omitzero"` // the outer source address; the zero Addr for any
	MAC    string     `json:"mac,omitempty"`
	MTU    int        `json:"mtu"`
	Uplink string     `json:"uplink,omitempty"` // the link under it, by its name

	TxChecksum *bool `json:"txChecksum,omitempty"` // the offload is on; nil: unknown, or the kind has none
	// BadChecksums says that the node dropped packets to this tunnel's port for their checksum in a window of the counters of the last half hour.
	BadChecksums bool `json:"badChecksums,omitempty"`
	// BadChecksumsLikely says that packets with a bad checksum came in a window of the last half hour, for a port that connection tracking hides, and that this
	// tunnel's is the likely one: so it is on a node with Services. By itself it proves nothing.
	BadChecksumsLikely bool `json:"badChecksumsLikely,omitempty"`
	// Translated are the ends to which this node's source NAT changed the outer header of packets in the last half hour, by its connection tracking. They are in
	// order, and of very many the first.
	Translated []netip.Addr `json:"translated,omitempty"`
}
