package host

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// reservationWait is how long a plugin may hold host-local's lock: it reads and writes a few files under it.
const reservationWait = 5 * time.Second

// openReservation opens the directory of a reservation, whose argument is DIRECTORY:ADDRESS, and gives the file's name in it. os.Root keeps what
// follows inside the directory.
func (h *Host) openReservation(c fix.Change) (*os.Root, string, error) {
	_, arg := c.Knob.Split()
	dir, addr, _ := strings.Cut(arg, ":")
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return nil, "", fmt.Errorf("parse reservation: %w", err)
	}
	if !path.IsAbs(dir) || path.Clean(dir) != dir {
		return nil, "", fmt.Errorf("%q is no clean absolute path", dir)
	}
	root, err := os.OpenRoot(h.Path(dir))
	return root, ip.String(), err
}

func getReservation(h *Host, _ *NS, c fix.Change) (string, error) {
	root, name, err := h.openReservation(c)
	if err != nil {
		return "", err
	}
	defer root.Close()
	return readReservation(root, name)
}

func readReservation(root *os.Root, name string) (string, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, os.ErrNotExist) {
		return fix.Absent, nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	if err != nil {
		return "", err
	}
	id, ifName, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	return fix.ReservationText(facts.Reservation{ID: strings.TrimSpace(id), IfName: strings.TrimSpace(ifName)}), nil
}

// setReservation removes or writes one reservation under host-local's own lock, so that no plugin gives the address away meanwhile. What it
// says is compared under the lock: an address that has been taken by another container since is left alone. A re-created file is of today.
func setReservation(h *Host, _ *NS, c fix.Change) (err error) {
	root, name, err := h.openReservation(c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	lock, err := lockFile(root, "lock", reservationWait)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	got, err := readReservation(root, name)
	switch {
	case err != nil:
		return err
	case got == c.To:
		return nil
	case got != c.From:
		return fmt.Errorf("%w: it is %q, not %q", fix.ErrPrecondition, got, c.From)
	case c.To == fix.Absent:
		err = root.Remove(name)
	default:
		err = writeReservation(root, name, c.To)
	}
	if err != nil {
		return err
	}
	return syncDir(root)
}

// writeReservation makes the file appear whole or not at all: it is written without a name and then linked.
func writeReservation(root *os.Root, name, text string) (err error) {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	fd, err := retry(func() (int, error) {
		return unix.Openat(int(dir.Fd()), ".", unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	})
	if err != nil {
		return fmt.Errorf("create unnamed file: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.WriteString(text); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), int(dir.Fd()), name, unix.AT_SYMLINK_FOLLOW)
}

func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
