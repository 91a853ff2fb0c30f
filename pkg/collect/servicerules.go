package collect

import (
	"context"
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
)

// readServiceRules reads what the kernel holds for all Services. That takes as long as a dump of the tables, so it is not done where nobody told what they
// should hold, nor where kube-proxy is replaced.
func readServiceRules(ctx context.Context, h *host.Host, s *facts.Snapshot) error {
	if s.Intent.Cluster == nil {
		return errNotTold
	}
	proxy := s.Proxy
	if proxy == nil {
		var err error
		if proxy, err = proxyOf(ctx, h, s); err != nil {
			return err
		}
	}
	if proxy.Replaced != "" {
		return fmt.Errorf("%w: %s carries Services instead of kube-proxy", host.ErrAbsent, proxy.Replaced)
	}
	node := h.Node()
	return node.Do(func() (err error) {
		s.ServiceRules, err = node.ServiceRules(host.ServiceOptions{Mode: proxy.Mode, Trace: s.Intent.Trace})
		if errors.Is(err, host.ErrAbsent) {
			err = fmt.Errorf("%w: nothing of kube-proxy was found", host.ErrAbsent)
		}
		return err
	})
}
