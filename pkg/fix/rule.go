package fix

import (
	"errors"

	"github.com/netmend/netmend/pkg/facts"
)

func getRule(*facts.Snapshot, Change) (string, error) {
	return "", errors.New("rules are not modelled")
}

func setRule(*facts.Snapshot, Change) error { return errors.New("rules are not modelled") }
