// Package cni runs netmend's CNI plugin as runtimes do: behind the reference plugins, for every version of the specification, in real network namespaces, by
// cnitool and by containerd. It has tests only.
package cni
