package host

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Writable says why sysctls cannot be written, as where /proc/sys is mounted read-only; nil where nothing is known against it. A tree that has none is no
// reason.
func (h *Host) Writable() error {
	path := h.Path("proc/sys/net/ipv4/ip_forward")
	if err := unix.Access(path, unix.W_OK); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
