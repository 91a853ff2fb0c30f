// Netmendctl audits the pod network of a Kubernetes node, on the node or from a snapshot taken elsewhere.
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run(context.Background(), systemEnv())) }
