package services

import (
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// settling is for how long after the API server has told something a kube-proxy that is well may not have written it yet. Each change is written with the next
// sync, which begins at once or minSyncPeriod after the last one (1 s by default) and takes seconds where there are very many Services.
const settling = 15 * time.Second

// Writing is for how long after a change of the cluster kube-proxy may be busy writing it. The configuration may be nil.
func Writing(c *facts.ProxyConfig) time.Duration {
	d := settling
	if c != nil && c.MinSyncPeriod > 0 {
		d += time.Duration(2 * min(c.MinSyncPeriod, 30) * float64(time.Second)) // what the mirror remembers of changes is bounded too
	}
	return d
}
