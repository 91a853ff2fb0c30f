package checks

import "github.com/netmend/netmend/pkg/check"

// All is every check there is, in the order of their names.
func All() []*check.Check { return []*check.Check{TCPTWRecycle} }
