package fix

import (
	"path"
	"slices"
)

// setSysctl writes one value as the kernel does. Forwarding of a whole namespace is the one write that reaches others: it is copied to every link and
// to those to come, and IPv4 then ignores or heeds redirects to match (inet_forward_change of net/ipv4/devinet.c, addrconf_forward_change
// of net/ipv6/addrconf.c). Writing the value that is already there does nothing, which is why it repairs no link.
func setSysctl(values map[string]string, key, to string) {
	old := values[key]
	values[key] = to
	if old == to {
		return
	}
	switch key {
	case "net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding":
		copyTo(values, []string{"net/ipv4/ip_forward", "net/ipv4/conf/*/forwarding"}, to)
		redirects := "0"
		if to == "0" {
			redirects = "1"
		}
		copyTo(values, []string{"net/ipv4/conf/all/accept_redirects"}, redirects)
	case "net/ipv6/conf/all/forwarding":
		copyTo(values, []string{"net/ipv6/conf/*/forwarding"}, to)
	}
}

// copyTo sets those values of the snapshot whose keys match a pattern.
func copyTo(values map[string]string, patterns []string, to string) {
	for key := range values {
		if slices.ContainsFunc(patterns, func(p string) bool { ok, err := path.Match(p, key); return err == nil && ok }) {
			values[key] = to
		}
	}
}
