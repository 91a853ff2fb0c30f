package host

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host/internal/program"
)

// getModule looks for what the module brings below /proc/sys. It is there also where the module is built into the kernel and has no file in /proc/modules.
func getModule(_ *Host, ns *NS, c fix.Change) (string, error) {
	_, name := c.Knob.Split()
	trace, ok := fix.ModuleSysctl(name)
	if !ok {
		return "", fmt.Errorf("no knob for module %q", name)
	}
	if exists(ns.procSys(trace)) {
		return fix.Loaded, nil
	}
	return fix.Absent, nil
}

// setModule loads with the node's own modprobe, because only it knows where the distribution keeps modules and what they need. It unloads the one module and none
// that this one needed, and the kernel refuses where it is in use.
func setModule(h *Host, _ *NS, c fix.Change) error {
	_, name := c.Knob.Split()
	if _, ok := fix.ModuleSysctl(name); !ok {
		return fmt.Errorf("no knob for module %q", name)
	}
	switch c.To {
	case fix.Loaded:
		return program.Inside(h.root, func() error { return program.Run("modprobe", name) })
	case fix.Absent:
		if err := unix.DeleteModule(name, unix.O_NONBLOCK); err != nil {
			return fmt.Errorf("unload module: %w", err)
		}
		return nil
	}
	return fmt.Errorf("%q is neither %s nor %s", c.To, fix.Loaded, fix.Absent)
}
