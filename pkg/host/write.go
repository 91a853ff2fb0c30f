package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/fix"
)

// ErrGone says that the object of a knob is not there any more, or that another has taken its place.
var ErrGone = errors.New("the object is gone")

// ErrNotTaken says that the kernel accepted a value and then showed another.
var ErrNotTaken = errors.New("the value did not take")

// ErrNoWriter says that a rule was to be written by a caller who has nothing to write rules with.
var ErrNoWriter = errors.New("nothing to write rules with")

// RuleWriter puts the rules of a knob where the site says, or takes them out, on a thread in the namespace, with the node's root directory: iptrules.Write.
type RuleWriter func(site fix.RuleSite, r fix.RuleSpec, present bool) error

// knob reads and writes one family of knobs. Both run on a thread in the namespace. Rules are set by a [RuleWriter].
type knob struct {
	get func(*Host, *NS, fix.Change) (string, error)
	set func(*Host, *NS, fix.Change) error
}

func knobOf(k fix.Knob) (knob, error) {
	family, _ := k.Split()
	switch {
	case k == fix.LinkMTU:
		return knob{getMTU, setMTU}, nil
	case k == fix.Hairpin:
		return knob{getHairpin, setHairpin}, nil
	case family == fix.FamilyEthtool:
		return knob{getFeature, setFeature}, nil
	case family == fix.FamilySysctl:
		return knob{getSysctl, setSysctl}, nil
	case family == fix.FamilyModule:
		return knob{getModule, setModule}, nil
	case family == fix.FamilyRule:
		return knob{getRule, nil}, nil
	case family == fix.FamilyIPAM:
		return knob{getReservation, setReservation}, nil
	}
	return knob{}, fmt.Errorf("no knob %q", k)
}

// Get reads the knob of a change in the namespace. The object is found by its index and name (ErrGone where they do not agree).
func (h *Host) Get(ns *NS, c fix.Change) (value string, err error) {
	k, err := knobOf(c.Knob)
	if err != nil {
		return "", err
	}
	err = ns.Do(func() error {
		value, err = k.get(h, ns, c)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read %s of %s: %w", c.Knob, c.On.Name, gone(err))
	}
	return value, nil
}

// Set writes the change's To and reads it back; what is read back differently is ErrNotTaken. It does not look at From, but for a reservation, which it takes or
// releases under the lock only if it is what From says. A knob that is a rule needs SetWith.
func (h *Host) Set(ns *NS, c fix.Change) error { return h.SetWith(ns, c, nil) }

// SetWith is Set for any knob.
func (h *Host) SetWith(ns *NS, c fix.Change, write RuleWriter) error {
	k, err := knobOf(c.Knob)
	if err != nil {
		return err
	}
	if k.set == nil {
		k.set = func(_ *Host, ns *NS, c fix.Change) error { return setRule(ns, c, write) }
	}
	err = ns.Do(func() error {
		if err := k.set(h, ns, c); err != nil {
			return err
		}
		got, err := k.get(h, ns, c)
		if err == nil && !fix.SameValue(c.Knob, got, c.To) {
			err = fmt.Errorf("%w: it is %q", ErrNotTaken, got)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("set %s of %s to %q: %w", c.Knob, c.On.Name, c.To, gone(err))
	}
	return nil
}

// gone marks the errors by which the kernel says that an object does not exist.
func gone(err error) error {
	if !errors.Is(err, ErrGone) && (errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT)) {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	return err
}
