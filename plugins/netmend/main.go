// Command netmend is a chained CNI plugin that proves at ADD that this pod's network can work on this node. It stands behind the main plugin in a network's
// list, passes that one's result on, and says what is wrong, or refuses the pod where its configuration asks for that.
package main

import (
	"os"

	"github.com/netmend/netmend/plugins/netmend/internal/plugin"
)

func main() {
	os.Exit(plugin.New(os.Stdout, os.Stderr).Main())
}
