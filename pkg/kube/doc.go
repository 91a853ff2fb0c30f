// Package kube is the only room that talks to Kubernetes. Of the objects that it reads it keeps what decides about a node's rules, in the form of package
// facts, and it asks for nothing else: Services, EndpointSlices, the Node, and kube-proxy's pod with its DaemonSet.
//
// It speaks the API's JSON itself. The typed client would hold every field of every object in memory, and weigh more than the rest of netmend.
package kube
