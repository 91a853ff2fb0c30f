package host

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// Bounds of the reservations that are read.
const (
	maxReservations = 1 << 16
	maxIPAMNetworks = 1024
	maxReservation  = 4096 // bytes of one file; a container's id and a link's name take 80
)

// IPAM reads what host-local has reserved, in its usual directory and in those that the CNI configuration names. A node without any has none. Files
// that are not named by an address (lock, last_reserved_ip.*) are no reservations. A file that may not be read is an error.
func (h *Host) IPAM() (*facts.IPAM, error) {
	c, err := h.readCNI(cniThorough)
	if err != nil {
		return nil, fmt.Errorf("read reservations: %w", err)
	}
	dirs := []string{hostLocalDir}
	for _, l := range c.hostLocal {
		if !slices.Contains(dirs, l.dir) {
			dirs = append(dirs, l.dir)
		}
	}
	r := reservationReader{host: h, now: time.Now(), left: maxReservations, out: &facts.IPAM{}}
	for _, dir := range dirs {
		if err := r.dataDir(dir, c.hostLocal); err != nil {
			return nil, fmt.Errorf("read reservations: %w", err)
		}
	}
	return r.out, nil
}

type reservationReader struct {
	host *Host
	now  time.Time
	left int
	out  *facts.IPAM
}

// dataDir reads one directory of networks.
func (r *reservationReader) dataDir(dir string, configured []hostLocal) error {
	entries, err := r.host.dirIn(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if len(r.out.Networks) >= maxIPAMNetworks {
			return fmt.Errorf("more than %d networks", maxIPAMNetworks)
		}
		path := filepath.Join(dir, e.Name())
		reserved, err := r.network(path)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(configured, func(l hostLocal) bool { return l.network == e.Name() && filepath.Clean(l.dir) == filepath.Clean(dir) })
		l := hostLocal{network: e.Name()}
		if i >= 0 {
			l = configured[i]
		}
		r.out.Networks = append(r.out.Networks, l.networks(path, reserved)...)
	}
	return nil
}

// network reads the reservations of one network, in the order of their addresses.
func (r *reservationReader) network(dir string) ([]facts.Reservation, error) {
	path, err := r.host.inRoot(dir)
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var all []facts.Reservation
	for _, e := range entries {
		ip, err := netip.ParseAddr(e.Name())
		if err != nil || ip.Zone() != "" || !e.Type().IsRegular() {
			continue
		}
		if r.left == 0 {
			return nil, fmt.Errorf("more than %d reservations", maxReservations)
		}
		r.left--
		one, err := loadReservation(filepath.Join(path, e.Name()), r.now)
		if errors.Is(err, fs.ErrNotExist) {
			continue // released meanwhile
		}
		if err != nil {
			return nil, err
		}
		one.IP = ip.Unmap()
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b facts.Reservation) int { return a.IP.Compare(b.IP) })
	return all, nil
}

func loadReservation(path string, now time.Time) (facts.Reservation, error) {
	f, err := os.Open(path)
	if err != nil {
		return facts.Reservation{}, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return facts.Reservation{}, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxReservation))
	if err != nil {
		return facts.Reservation{}, err
	}
	one := parseReservation(string(data))
	one.Age = max(0, int64(now.Sub(st.ModTime())/time.Second))
	return one, nil
}

// parseReservation reads a container's id and the link's name behind a line break, as host-local writes them; before version 0.8 it wrote the id alone.
func parseReservation(text string) facts.Reservation {
	id, ifName, _ := strings.Cut(strings.TrimSpace(text), "\r\n")
	return facts.Reservation{ID: strings.TrimSpace(id), IfName: strings.TrimSpace(ifName)}
}
