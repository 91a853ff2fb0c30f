package host

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// maxReservationDirs bounds the networks in which one address is looked up.
const maxReservationDirs = 64

// ReservationsOf reads who has reserved the given addresses with host-local, by one file for each address and network: in its usual directory and in
// those given. Nothing is read of other addresses.
func (h *Host) ReservationsOf(addrs []netip.Addr, dirs ...string) (*facts.IPAM, error) {
	out := &facts.IPAM{}
	now := time.Now()
	if !slices.Contains(dirs, hostLocalDir) {
		dirs = append([]string{hostLocalDir}, dirs...)
	}
	for _, dir := range dirs {
		path, err := h.inRoot(dir)
		if err != nil {
			return nil, fmt.Errorf("read reservations: %w", err)
		}
		names, err := namesIn(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read reservations: %w", err)
		}
		if len(names) > maxReservationDirs {
			return nil, fmt.Errorf("read reservations: more than %d networks in %s", maxReservationDirs, dir)
		}
		for _, name := range names {
			n := facts.IPAMNetwork{Name: name, Dir: filepath.Join(dir, name)}
			if n.Reservations, err = h.reservedIn(n.Dir, addrs, now); err != nil {
				return nil, fmt.Errorf("read reservations: %w", err)
			}
			if len(n.Reservations) > 0 {
				out.Networks = append(out.Networks, n)
			}
		}
	}
	return out, nil
}

func (h *Host) reservedIn(dir string, addrs []netip.Addr, now time.Time) (out []facts.Reservation, err error) {
	for _, a := range addrs {
		path, err := h.inRoot(filepath.Join(dir, a.Unmap().String()))
		if err != nil {
			return nil, err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); absent(err) || err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		} else if err != nil {
			return nil, err
		}
		text, err := readFile(path, maxReservation)
		if errors.Is(err, fs.ErrNotExist) {
			continue // released meanwhile
		}
		if err != nil {
			return nil, err
		}
		r := parseReservation(string(text))
		r.Age = max(0, now.Unix()-st.Mtim.Sec)
		r.IP = a.Unmap()
		out = append(out, r)
	}
	return out, nil
}

// namesIn lists a directory without the poller that os.Open starts.
func namesIn(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}
