package cluster

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// capabilities are all that netmend may have in mode fix, by their numbers in linux/capability.h.
var capabilities = map[string]uint{"NET_ADMIN": 12, "NET_RAW": 13, "SYS_CHROOT": 18, "SYS_PTRACE": 19, "SYS_ADMIN": 21}

// testPrivileges looks at the running daemon: it has the chart's capabilities and no other, cannot gain any, is under a seccomp filter, and cannot write to its
// root file system. The API server of this cluster would refuse a privileged pod.
func (c *cluster) testPrivileges() {
	asked := strings.Fields(c.must("get", "daemonset", "-n", namespace, "netmend", "-o", "jsonpath={.spec.template.spec.containers[0].securityContext.capabilities.add[*]}"))
	if want := slices.Sorted(maps.Keys(capabilities)); !slices.Equal(slices.Sorted(slices.Values(asked)), want) {
		c.t.Errorf("the chart asks for %s; want %s", asked, want)
	}
	var all uint64
	for _, number := range capabilities {
		all |= 1 << number
	}
	for _, w := range c.workers {
		fields := map[string]string{}
		for line := range strings.Lines(w.Sh("cat /proc/$(pidof netmendd)/status")) {
			name, value, _ := strings.Cut(line, ":")
			fields[name] = strings.TrimSpace(value)
		}
		for set, want := range map[string]uint64{"CapPrm": all, "CapEff": all, "CapBnd": all, "CapInh": 0, "CapAmb": 0} {
			if got, err := strconv.ParseUint(fields[set], 16, 64); err != nil || got != want {
				c.t.Errorf("%s: %s of netmendd is %x, %v; want %x", w.Name, set, got, err, want)
			}
		}
		for name, want := range map[string]string{"NoNewPrivs": "1", "Seccomp": "2"} { // 2 is SECCOMP_MODE_FILTER
			if fields[name] != want {
				c.t.Errorf("%s: %s of netmendd is %q; want %q", w.Name, name, fields[name], want)
			}
		}
		if options := w.Sh(`awk '$5 == "/" {print $6}' /proc/$(pidof netmendd)/mountinfo`); !strings.HasPrefix(options, "ro,") {
			c.t.Errorf("%s: the daemon's root file system is mounted %s", w.Name, options)
		}
	}
}
