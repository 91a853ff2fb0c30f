package host

import (
	"fmt"

	"github.com/safchain/ethtool"

	"github.com/netmend/netmend/pkg/fix"
)

func withEthtool(fn func(*ethtool.Ethtool) error) error {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return fmt.Errorf("open ethtool socket: %w", err)
	}
	defer e.Close()
	return fn(e)
}

// getFeature looks the link up before and after: another one may have been made under its name meanwhile.
func getFeature(_ *Host, _ *NS, c fix.Change) (value string, err error) {
	_, feature := c.Knob.Split()
	if _, err := linkOf(c); err != nil {
		return "", err
	}
	err = withEthtool(func(e *ethtool.Ethtool) error {
		features, err := e.Features(c.On.Name)
		if err != nil {
			return fmt.Errorf("ethtool: %w", err)
		}
		on, known := features[feature]
		if !known {
			return fmt.Errorf("%w: the kernel has no feature %q", ErrGone, feature)
		}
		value = onOff(on)
		return nil
	})
	if err == nil {
		_, err = linkOf(c)
	}
	return value, err
}

// setFeature is `ethtool -K NAME FEATURE on|off` (ETHTOOL_SFEATURES). ethtool knows links by name alone, so the link is looked up before and, by the
// read-back, after. Features that depend on the one that goes off go off with it and come back with it: the kernel keeps what was asked for beside what is.
func setFeature(_ *Host, _ *NS, c fix.Change) error {
	_, feature := c.Knob.Split()
	on, err := parseOnOff(c.To)
	if err != nil {
		return err
	}
	if _, err := linkOf(c); err != nil {
		return err
	}
	return withEthtool(func(e *ethtool.Ethtool) error {
		if err := e.Change(c.On.Name, map[string]bool{feature: on}); err != nil {
			return fmt.Errorf("ethtool: %w", err)
		}
		return nil
	})
}
