// Netmendd looks after the pod network of the Kubernetes node that it runs on.
package main

import (
	"context"
	"os"
)

func main() { os.Exit(run(context.Background(), systemEnv())) }
