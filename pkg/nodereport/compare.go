package nodereport

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// Difference says how much one report differs from another. A greater one is told sooner.
type Difference int

// The differences.
const (
	Same      Difference = iota
	Numbers              // in the texts of findings, and nothing else: what is counted grows while nothing happens
	Addresses            // of pods, which come and go, and maybe numbers
	Other                // anything else
)

// Compare compares what a node said with what it would say now, as the API has both: an empty list and none are the same.
func Compare(was, is *Status) Difference {
	if alike(was, is) {
		return Same
	}
	a, b := plain(was), plain(is)
	if !alike(&a, &b) {
		return Other
	}
	if was.Network.PodsOmitted != is.Network.PodsOmitted || !slices.Equal(was.Network.PodAddresses, is.Network.PodAddresses) {
		return Addresses
	}
	return Numbers
}

func alike(a, b *Status) bool {
	one, err := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err == nil && err2 == nil && bytes.Equal(one, other)
}

// plain is a report without what changes by itself. A text that grows by a digit can push another finding out, so what is left out is not compared while
// something is: the counts by severity are.
func plain(s *Status) Status {
	out := *s
	out.Network.PodAddresses, out.Network.PodsOmitted = nil, 0
	out.Findings = slices.Clone(s.Findings)
	for i := range out.Findings {
		f := &out.Findings[i]
		f.Message, f.Plan = Words(f.Message), Words(f.Plan)
	}
	return out
}

// A number stands alone, with or without a unit. Those in names and addresses, as in eth0 and 10.0.0.1, are words.
var (
	tokens = regexp.MustCompile(`[^\s()\[\],;=+~"']+`)
	number = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|%|[KMG]?i?B)?)+$`)
)

// Words is a text without its numbers: "+12 in 60s" and "+7 in 61.5s" are the same.
func Words(s string) string {
	return tokens.ReplaceAllStringFunc(s, func(token string) string {
		bare := strings.TrimRight(token, ".:!")
		if !number.MatchString(bare) {
			return token
		}
		return "#" + token[len(bare):]
	})
}
