package host

import (
	"errors"

	"golang.org/x/sys/unix"
)

// references counts what leads to a chain: the kernel counts a chain's rules and the references to it in one number. Without a chain there are none.
func (c *nlConn) references(family, table, chain string) (uint32, error) {
	use, err := c.nftUse(nftProto(family), table, chain)
	if err != nil || use == 0 {
		return 0, err
	}
	rules := uint32(0)
	err = c.eachNFTMessage(nftProto(family), table, chain, func([]byte) error { rules++; return nil })
	return use - min(use, rules), err
}

// inGeneration asks until the rule set was the same before and after: a change between two questions can hide what is there.
func (c *nlConn) inGeneration(ask func() (bool, error)) (bool, error) {
	return whole(func() (bool, error) {
		before, err := nftGeneration(c)
		if err != nil {
			return false, err
		}
		yes, err := ask()
		if err != nil {
			return false, err
		}
		after, err := nftGeneration(c)
		if err == nil && before != after {
			err = ErrInterrupted
		}
		return yes, err
	})
}

// sure is inGeneration that begins with asking once, and believes a yes.
func (c *nlConn) sure(ask func() (bool, error)) (bool, error) {
	if yes, err := ask(); err == nil && yes {
		return true, nil
	}
	return c.inGeneration(ask)
}

// referenced is nftReferenced that asks for the generation only where the answer is no.
func (v *vipReader) referenced(family, table, chain string) (bool, error) {
	c, err := v.netfilter()
	if err != nil || c == nil {
		return false, err
	}
	return c.sure(func() (bool, error) {
		n, err := c.references(family, table, chain)
		return n > 0, err
	})
}

// nftLeadsBriefly is nftLeads without a walk through the map, which has an element for each port of each Service. Of what kube-proxy writes, only elements of
// that map lead to such a chain, and rules of the Service's chain for traffic from outside, where there is one (pkg/proxy/nftables).
func (v *vipReader) nftLeadsBriefly(family, prefix, base string) (bool, error) {
	c, err := v.netfilter()
	if err != nil || c == nil {
		return false, err
	}
	return c.sure(func() (bool, error) {
		refs, err := c.references(family, kubeProxyTable, prefix+base)
		if err != nil || refs == 0 {
			return false, err
		}
		err = c.eachNFTRule(nftProto(family), kubeProxyTable, "external-"+base, interfaceName, func(r nftRule) error {
			if r.Target == prefix+base {
				refs -= min(refs, 1)
			}
			return nil
		})
		if errors.Is(err, unix.ENOENT) {
			err = nil
		}
		return refs > 0, err
	})
}
