// Package cri has a real container runtime start pods through the network's chain of plugins with netmend at its end, as kubelet has it do: by CRI. It has
// tests only, and the program of the one container that they need.
package cri
