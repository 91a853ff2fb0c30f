package kube

import (
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// maxRecent bounds how many Services are remembered to have changed; beyond, all have.
const maxRecent = 500

// recent remembers which Services have changed a short while ago. It needs a clock.
type recent struct {
	now  func() time.Time
	when map[string]time.Time // by namespace/name; "" is all
}

func (r *recent) touch(service string) {
	if r.when == nil {
		r.when = map[string]time.Time{}
	}
	if len(r.when) >= maxRecent {
		r.list()
	}
	if _, known := r.when[service]; !known && len(r.when) >= maxRecent {
		clear(r.when)
		service = ""
	}
	r.when[service] = r.now()
}

// list gives those that have changed since facts.RecentFor, and forgets the others.
func (r *recent) list() (out []facts.ServiceChange) {
	now := r.now()
	for service, at := range r.when {
		age := int64(now.Sub(at).Seconds())
		if age > facts.RecentFor {
			delete(r.when, service)
			continue
		}
		out = append(out, facts.ServiceChange{Service: service, Age: max(0, age)})
	}
	return out
}
