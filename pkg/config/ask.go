package config

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
)

// Choices are the fixes that are asked for by name, for [audit.Suite.Propose], in the order of their checks.
func (c *Config) Choices() (out []audit.Choice) {
	for _, name := range slices.Sorted(maps.Keys(c.Checks)) {
		switch f := c.Checks[name].Fix; {
		case f == FixFirst:
			out = append(out, audit.Choice{Check: name})
		case f > 0:
			out = append(out, audit.Choice{Check: name, Fix: int(f)})
		}
	}
	return out
}

// Forbidden says whether no fix of the check may be made, not even one that may run unasked.
func (c *Config) Forbidden(name string) bool { return c.Checks[name].Fix == FixNever }

// Severity is the severity of a finding after the configuration's say.
func (c *Config) Severity(f check.Finding) check.Severity {
	if s := c.Checks[f.Check].Severity; s != nil {
		return *s
	}
	return f.Severity
}

// Settle is how long a finding of the check must last before it is acted upon.
func (c *Config) Settle(k *check.Check) time.Duration {
	if d := c.Checks[k.Name].Settle; d != nil {
		return *d
	}
	return k.Settle
}

// Ignored says whether the configuration wants nothing done about the finding's object. A pattern is that of [path.Match], with a * that also stands for slashes.
// It is compared with the object's name, such as flannel.1. An object of a pod has its namespace's name and a colon before it: cni-1234:eth0, so that *:eth0 is
// that link of every pod. The namespace's name is the last part of the path that opens it, as /run/netns/cni-1234; its inode number where there is none. What
// concerns the node as a whole has the name node.
func (c *Config) Ignored(s *facts.Snapshot, f check.Finding) bool {
	patterns := c.Checks[f.Check].Ignore
	if len(patterns) == 0 {
		return false
	}
	name := objectName(s, f.On)
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(flat(p), flat(name))
		return err == nil && ok
	})
}

// flat takes the meaning that path.Match gives to a slash.
func flat(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

func objectName(s *facts.Snapshot, on facts.Ref) string {
	if on.NetNS == 0 || on.NetNS == s.Host.Inode {
		return cmp.Or(on.Name, "node")
	}
	namespace := strconv.FormatUint(on.NetNS, 10)
	if ns := s.Namespace(on.NetNS); ns != nil && ns.Path != "" {
		namespace = path.Base(ns.Path)
		if on.Name == ns.Path {
			return namespace
		}
	}
	return strings.TrimSuffix(namespace+":"+on.Name, ":")
}
