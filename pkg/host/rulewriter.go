package host

import (
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host/internal/program"
)

// ruleTables reads what a rule knob is judged by: the tables of both backends, or of the one that this kernel has.
func ruleTables(ns *NS) ([]facts.Table, error) {
	tables, err := ns.NFTables()
	if err != nil && !errors.Is(err, ErrAbsent) {
		return nil, err
	}
	legacy, err := ns.Legacy()
	if err != nil && !errors.Is(err, ErrAbsent) {
		return nil, err
	}
	return append(tables, legacy...), nil
}

func getRule(_ *Host, ns *NS, c fix.Change) (string, error) {
	r, err := fix.ParseRule(c.Knob)
	if err != nil {
		return "", err
	}
	tables, err := ruleTables(ns)
	if err != nil {
		return "", err
	}
	_, value, err := r.Sites(tables)
	return value, err
}

// setRule puts the rule where it belongs, or takes it from wherever it is. Each step is one that may have been made already, so that it also
// mends what a program left that died half way.
func setRule(ns *NS, c fix.Change, write RuleWriter) error {
	if write == nil {
		return ErrNoWriter
	}
	r, err := fix.ParseRule(c.Knob)
	if err != nil {
		return err
	}
	tables, err := ruleTables(ns)
	if err != nil {
		return err
	}
	var sites []fix.RuleSite
	switch c.To {
	case fix.Present:
		sites, err = r.Place(tables)
	case fix.Absent:
		sites, _, err = r.Sites(tables)
	default:
		err = fmt.Errorf("%q is neither %s nor %s", c.To, fix.Present, fix.Absent)
	}
	if err != nil {
		return err
	}
	for _, site := range sites {
		err := program.Inside(ns.root, func() error {
			if site.Own {
				return setOwnChain(r, tables, c.To == fix.Present)
			}
			return write(site, r, c.To == fix.Present)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// setOwnChain changes netmend's own nftables table. nft makes all of it in one transaction.
func setOwnChain(r fix.RuleSpec, tables []facts.Table, present bool) error {
	for _, words := range r.OwnCommands(tables, present) {
		if err := program.Run(words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}
