package collect

import (
	"os"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readNode fills what the node is. What cannot be learned stays empty.
func readNode(h *host.Host, n *facts.Node) {
	*n = facts.Node{
		Name:         h.Name(),
		Kernel:       h.KernelRelease(),
		Distribution: h.Distribution(),
		BootID:       h.BootID(),
		Memory:       h.Memory(),
		CPUs:         h.CPUs(),
		Privileged:   os.Geteuid() == 0,
		Kubelet:      h.Kubelet(),
	}
}
