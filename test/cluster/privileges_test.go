package cluster

import (
	"fmt"
	"strconv"
	"strings"
)

// capabilities are all that netmend's chart asks for in mode fix, by their numbers in linux/capability.h.
var capabilities = map[string]uint{"NET_ADMIN": 12, "NET_RAW": 13, "SYS_CHROOT": 18, "SYS_PTRACE": 19, "SYS_ADMIN": 21}

// testPrivileges looks at the running daemon: it has the chart's capabilities and no other, cannot gain any, is under a seccomp filter, and cannot write to its
// root file system. The API server of this cluster would refuse a privileged pod.
func (c *cluster) testPrivileges() {
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
		for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
			if got, err := strconv.ParseUint(fields[set], 16, 64); err != nil || got != all {
				c.t.Errorf("%s: %s of netmendd is %x, %v; want %x", w.Name, set, got, err, all)
			}
		}
		for name, want := range map[string]string{"CapInh": fmt.Sprintf("%016x", 0), "CapAmb": fmt.Sprintf("%016x", 0), "NoNewPrivs": "1", "Seccomp": "2"} {
			if fields[name] != want {
				c.t.Errorf("%s: %s of netmendd is %q; want %q", w.Name, name, fields[name], want)
			}
		}
		if mounts := w.Sh("cat /proc/$(pidof netmendd)/mountinfo"); !strings.Contains(mounts, " / / ro") {
			if root, _, _ := strings.Cut(mounts, "\n"); !strings.Contains(root, " / ro") {
				c.t.Errorf("%s: the daemon's root file system is %s", w.Name, root)
			}
		}
	}
}
