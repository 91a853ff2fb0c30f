package collect

// nodeFileCollectors read what is found in the node's files and among its processes, and what is derived from them.
func nodeFileCollectors() []nodeCollector { return nil }
