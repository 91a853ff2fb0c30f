package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// Kubernetes is what the daemon has to do with the Kubernetes API. The zero value is the default: nothing, and the node needs no Kubernetes.
type Kubernetes struct {
	Access string // how the API server is reached: [InCluster], or the absolute path of a kubeconfig as the daemon sees it; empty: not at all
	Node   string // name of the node's Node object; empty: the node's own name, see package agent

	// Each of these is false where Access is empty.
	Services     bool // compare the rules for Services with the cluster's Services
	Report       bool // write the node's NodeNetworkReport
	Condition    bool // set the condition NetworkMisconfigured of the Node
	Events       bool // write Events
	StartupTaint bool // take the taint netmend.io/network-not-ready away, and bring it back, see docs/daemon.md
}

// InCluster as the access is that of a pod by its service account.
const InCluster = "in-cluster"

const maxNodeName = 253

// On says whether the API server is spoken to.
func (k *Kubernetes) On() bool { return k.Access != "" }

// nodeName is that of an object that is a DNS subdomain, as the API server demands of a Node (RFC 1123; IsDNS1123Subdomain of
// k8s.io/apimachinery/pkg/util/validation).
var nodeName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// NodeName says why a text cannot be the name of a Node, or nil.
func NodeName(s string) error {
	if len(s) > maxNodeName || !nodeName.MatchString(s) {
		return fmt.Errorf("%s is not a node's name: lower case letters, digits, - and . (kubectl get nodes)", quoted(s))
	}
	return nil
}

// kubernetes reads the block of that name. What it asks for without access is an error, and not passed over: a node would wait for it forever.
func (p *parser) kubernetes(v json.RawMessage) error {
	k := Kubernetes{Services: true, Report: true, Condition: true, Events: true}
	asked := map[string]*bool{"services": &k.Services, "report": &k.Report, "condition": &k.Condition, "events": &k.Events, "startupTaint": &k.StartupTaint}
	var alone string // a key that asks for something by itself
	readers := map[string]reader{"access": orOff(&k.Access, access), "node": text(func(s string) error {
		k.Node = s
		return NodeName(s)
	})}
	for key, to := range asked {
		readers[key] = func(v json.RawMessage) error {
			err := flag(to)(v)
			if *to && (alone == "" || key < alone) {
				alone = key
			}
			return err
		}
	}
	if err := object(readers)(v); err != nil {
		return err
	}
	switch {
	case k.On():
		p.config.Kubernetes = k
	case alone != "":
		return below(alone, errors.New("it needs kubernetes.access: "+InCluster+", or the path of a kubeconfig"))
	}
	return nil
}

func access(s string) error {
	if s == InCluster || filepath.IsAbs(s) && filepath.Clean(s) == s && len(s) <= maxFile && !strings.ContainsRune(s, 0) {
		return nil
	}
	return fmt.Errorf("%s is not off, %s or a clean absolute path of a kubeconfig", quoted(s), InCluster)
}
