//go:build linux

package main

import (
	"errors"
	"fmt"
	"testing"
)

// TestAPIHealth makes one condition of two parts: it is met only when both say so, and tells of each.
func TestAPIHealth(t *testing.T) {
	var told []string
	h := &apiHealth{
		parts: map[string]error{}, met: func(err error) { told = append(told, fmt.Sprint(err)) }, nothing: func() { told = append(told, "forgotten") },
	}
	for _, step := range []struct {
		do   func()
		want string // that is told; empty: nothing
	}{
		{func() { h.begin(partServices) }, ""},
		{func() { h.begin(partTold) }, ""},
		{func() { h.set(partServices, nil) }, ""}, // the other is not known yet
		{func() { h.set(partTold, errors.New("no")) }, "no"},
		{func() { h.set(partServices, errors.New("away")) }, "away; no"},
		{func() { h.set(partTold, nil) }, "away"},
		{func() { h.set(partServices, nil) }, "<nil>"},
		{func() { h.begin(partTold) }, ""}, // it begins anew
		{func() { h.forget(partTold) }, "<nil>"},
		{func() { h.forget(partServices) }, "forgotten"},
	} {
		before := len(told)
		step.do()
		got := ""
		if len(told) > before {
			got = told[before]
		}
		if got != step.want {
			t.Errorf("step %d: told %q; want %q", before, got, step.want)
		}
	}
}
