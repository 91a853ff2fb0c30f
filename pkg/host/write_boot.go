package host

// Booted says whether the node's namespace is the one that the files speak of which are read at boot: that of the first process.
func (h *Host) Booted() bool {
	inode, err := linkedNamespace(h.Path("proc/1/ns/net"))
	return err == nil && inode == h.node.Inode
}
