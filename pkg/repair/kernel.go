package repair

import (
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/host/iptrules"
)

// Kernel is what repair needs of a node. Its errors are those of package host: [host.ErrGone] for an object that is not there.
type Kernel interface {
	// BootID names this boot of the node.
	BootID() string
	// Prepare finds a change's object and says what an undo will need.
	Prepare(c fix.Change) (Step, error)
	// Get reads the step's knob.
	Get(s Step) (string, error)
	// Set writes the step's knob and reads it back. From is what the caller has seen there.
	Set(s Step, from, to string) error
}

// HostKernel is the kernel of a node. The host stays the caller's.
func HostKernel(h *host.Host) Kernel { return hostKernel{h} }

type hostKernel struct{ host *host.Host }

func (k hostKernel) BootID() string { return k.host.BootID() }

// in runs fn with the step's namespace, which it finds again by its number where the path that opened it is gone with its process.
func (k hostKernel) in(s Step, fn func(*host.NS) error) (err error) {
	node := k.host.Node()
	if s.NetNS == 0 || s.NetNS == node.Inode {
		return fn(node)
	}
	ns, err := k.find(s.NetNS, s.NSPath)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ns.Close()) }()
	return fn(ns)
}

func (k hostKernel) find(inode uint64, path string) (*host.NS, error) {
	// Whoever undoes may live in another namespace than whoever fixed, so the first process's is one of those to look at.
	for _, p := range []string{path, k.host.Path("proc/1/ns/net"), "/proc/self/ns/net"} {
		if ns := k.openIf(p, inode); ns != nil {
			return ns, nil
		}
	}
	found, _ := k.host.Namespaces()
	for _, f := range found {
		if f.Inode != inode {
			continue
		}
		if ns := k.openIf(f.Path, inode); ns != nil {
			return ns, nil
		}
	}
	return nil, fmt.Errorf("%w: network namespace %d", host.ErrGone, inode)
}

// openIf opens the path if it still leads to that namespace.
func (k hostKernel) openIf(path string, inode uint64) *host.NS {
	if path == "" {
		return nil
	}
	ns, err := k.host.Namespace(path)
	if err != nil {
		return nil
	}
	if ns.Inode != inode {
		_ = ns.Close() // it was opened to be looked at only
		return nil
	}
	return ns
}

func (k hostKernel) Prepare(c fix.Change) (Step, error) {
	family, _ := c.Knob.Split()
	anywhere := family == fix.FamilyModule || family == fix.FamilyIPAM
	s := Step{Change: c, NetNS: c.On.NetNS}
	if anywhere || family == fix.FamilyRule { // the node's, wherever the object is that it is for
		s.NetNS = 0
	}
	err := k.in(s, func(ns *host.NS) (err error) {
		if !anywhere {
			s.NetNS, s.NSPath = ns.Inode, ns.Path
		}
		s.Persist = ns.IsNode() && k.host.Booted() && lasting(c)
		s.Beside, err = k.host.Beside(ns, c)
		return err
	})
	return s, err
}

func (k hostKernel) Get(s Step) (value string, err error) {
	err = k.in(s, func(ns *host.NS) error {
		value, err = k.host.Get(ns, s.Change)
		return err
	})
	return value, err
}

func (k hostKernel) Set(s Step, from, to string) error {
	c := s.Change
	c.From, c.To = from, to
	return k.in(s, func(ns *host.NS) error { return k.host.SetWith(ns, c, iptrules.Write) })
}
