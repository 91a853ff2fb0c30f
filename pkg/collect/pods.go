package collect

// readPods finds the namespaces of the node's pods and reads in each the kinds that are read per pod.
func (c *collection) readPods() {}
