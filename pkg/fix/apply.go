package fix

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/netmend/netmend/pkg/facts"
)

// ErrPrecondition says that a knob did not have the value that the change starts from.
var ErrPrecondition = errors.New("the value is not what the fix was planned against")

// Apply makes the fix's changes to a copy of the snapshot and returns the copy; the snapshot itself is never changed. It models the knob
// alone, not what the kernel derives from it, but for the forwarding of a whole namespace, which is a value of each of its links.
func Apply(s *facts.Snapshot, f Fix) (*facts.Snapshot, error) {
	c, err := s.Clone()
	if err != nil {
		return nil, err
	}
	for _, change := range f.Changes {
		got, err := Get(c, change)
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", change.Knob, change.On.Name, err)
		}
		if got != change.From {
			return nil, fmt.Errorf("%s on %s: %w: it is %q, not %q", change.Knob, change.On.Name, ErrPrecondition, got, change.From)
		}
		if err := set(c, change); err != nil {
			return nil, fmt.Errorf("%s on %s: %w", change.Knob, change.On.Name, err)
		}
	}
	return c, nil
}

// Get reads a change's knob from a snapshot. It fails where the snapshot does not hold the object.
func Get(s *facts.Snapshot, c Change) (string, error) {
	family, arg := c.Knob.Split()
	switch family {
	case FamilySysctl:
		ns, err := namespace(s, c)
		if err != nil {
			return "", err
		}
		v, ok := ns.Sysctls[arg]
		if !ok {
			return "", fmt.Errorf("no sysctl %s in the snapshot", arg)
		}
		return v, nil
	case FamilyModule, FamilyRule:
		return getPresence(s, c)
	case FamilyIPAM:
		return getReservation(s, arg)
	}
	l, err := link(s, c)
	if err != nil {
		return "", err
	}
	switch {
	case c.Knob == LinkMTU:
		return strconv.Itoa(l.MTU), nil
	case c.Knob == Hairpin && l.Port != nil:
		return onOff(l.Port.Hairpin), nil
	case family == FamilyEthtool:
		if feature, ok := l.Features[arg]; ok {
			return onOff(feature.On), nil
		}
		return "", fmt.Errorf("feature %s was not read", arg)
	}
	return "", fmt.Errorf("no knob %q on this object", c.Knob)
}

func set(s *facts.Snapshot, c Change) error {
	family, arg := c.Knob.Split()
	switch family {
	case FamilySysctl:
		ns, err := namespace(s, c)
		if err == nil {
			setSysctl(ns.Sysctls, arg, c.To)
		}
		return err
	case FamilyModule, FamilyRule:
		return setPresence(s, c)
	case FamilyIPAM:
		return setReservation(s, arg, c.To)
	}
	l, err := link(s, c)
	if err != nil {
		return err
	}
	switch {
	case c.Knob == LinkMTU:
		l.MTU, err = strconv.Atoi(c.To)
	case c.Knob == Hairpin:
		l.Port.Hairpin = c.To == On
	case family == FamilyEthtool:
		feature := l.Features[arg]
		feature.On = c.To == On
		l.Features[arg] = feature
	}
	return err
}

func onOff(on bool) string {
	if on {
		return On
	}
	return Off
}

func namespace(s *facts.Snapshot, c Change) (*facts.Namespace, error) {
	ns := s.Namespace(c.On.NetNS)
	if ns == nil {
		return nil, fmt.Errorf("no network namespace %d in the snapshot", c.On.NetNS)
	}
	return ns, nil
}

func link(s *facts.Snapshot, c Change) (*facts.Link, error) {
	ns, err := namespace(s, c)
	if err != nil {
		return nil, err
	}
	l := ns.Link(c.On.Index)
	if l == nil || l.Name != c.On.Name {
		return nil, fmt.Errorf("no link %d named %s in namespace %d", c.On.Index, c.On.Name, c.On.NetNS)
	}
	return l, nil
}
