// Package services holds the rules of Kubernetes by which kube-proxy carries Services, without a kernel and without an API server: which ways a node must have
// for given Services and EndpointSlices, how that differs from the ways it has, and how kube-proxy names what it writes.
//
// The rules are those of kube-proxy v1.35 (k8s.io/kubernetes/pkg/proxy). Where one of its files is named, it is below that directory.
package services
