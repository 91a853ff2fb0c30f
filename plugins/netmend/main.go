// Command netmend is a chained CNI plugin that proves at ADD that this pod's network can work on this node. It stands behind the main plugin in a network's
// list, passes that one's result on, and says what is wrong, or refuses the pod where its configuration asks for that.
//
// The two settings spare it reading the limits of its control group, by which the runtime would choose its number of threads: it takes a twentieth of its time.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"os"

	"github.com/netmend/netmend/plugins/netmend/internal/plugin"
)

func main() {
	os.Exit(plugin.New(os.Stdout, os.Stderr).Main())
}
