// Package cluster runs netmend as its users do: on a real Kubernetes cluster of two nodes, from an image and a chart. The control plane and the nodes are
// namespaces of this machine; etcd, the API server, the controllers, the scheduler, kubelet, containerd, kube-proxy, the CNI plugins and all packets are real.
// It has tests only, and the program of their pods.
package cluster
