package collect

import (
	"errors"
	"fmt"
	"sync"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// Rules reads what the kernel holds for Services, and nothing of it again that has not changed since. The zero value is ready; it is for one host. Its methods
// may be called by several goroutines.
type Rules struct {
	mu      sync.Mutex
	reader  *host.ServiceReader
	options host.ServiceOptions
}

// Close forgets what was read and releases what is needed to read. It may be used again.
func (r *Rules) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.close()
}

func (r *Rules) close() error {
	if r.reader == nil {
		return nil
	}
	err := r.reader.Close()
	r.reader = nil
	return err
}

// read must be called inside Do of the namespace.
func (r *Rules) read(n *host.NS, o host.ServiceOptions, c *facts.Cluster) (*facts.ServiceRules, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reader == nil || r.options != o {
		if err := r.close(); err != nil {
			return nil, err
		}
		r.reader, r.options = n.ServiceReader(o), o
	}
	rules, _, err := r.reader.Read(c)
	return rules, err
}

// readServiceRules reads what the kernel holds for all Services. That takes as long as a dump of the tables, so it is not done where nobody told what they
// should hold, nor where kube-proxy is replaced.
func (c *collection) readServiceRules() error {
	s, h := c.snapshot, c.host
	if s.Intent.Cluster == nil {
		return c.noRules(errNotTold)
	}
	proxy := s.Proxy
	if proxy == nil {
		var err error
		if proxy, err = proxyOf(c.ctx, h, s); err != nil {
			return err
		}
	}
	if proxy.Replaced != "" {
		return c.noRules(fmt.Errorf("%w: %s carries Services instead of kube-proxy", host.ErrAbsent, proxy.Replaced))
	}
	node := h.Node()
	return node.Do(func() (err error) {
		o := host.ServiceOptions{Mode: proxy.Mode, Trace: s.Intent.Trace}
		if c.rules == nil {
			s.ServiceRules, err = node.ServiceRules(o, s.Intent.Cluster)
		} else {
			s.ServiceRules, err = c.rules.read(node, o, s.Intent.Cluster)
		}
		if errors.Is(err, host.ErrAbsent) {
			err = c.noRules(fmt.Errorf("%w: nothing of kube-proxy was found", host.ErrAbsent))
		}
		return err
	})
}

// noRules frees what was kept of rules that are not wanted any more, and says why.
func (c *collection) noRules(why error) error {
	if c.rules != nil {
		if err := c.rules.Close(); err != nil {
			return err
		}
	}
	return why
}
