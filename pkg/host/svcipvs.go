package host

import "github.com/netmend/netmend/pkg/facts"

func (r *ServiceReader) virtualServers() (*facts.ServiceRules, bool, error) { return nil, false, ErrAbsent }
