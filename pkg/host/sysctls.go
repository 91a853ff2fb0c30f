package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// SysctlSet names sysctls by their paths below /proc/sys.
type SysctlSet struct {
	Paths   []string
	Devices map[string][]string // directory with one directory for each device ("net/ipv4/conf") to the values read in each
}

// Sysctls reads the set's values without their closing newline. One that this kernel or this namespace does not have has no key; one that may not be
// read is an error. It must be called inside Do.
func (n *NS) Sysctls(set SysctlSet) (map[string]string, error) {
	all := make(map[string]string, len(set.Paths))
	for _, path := range set.Paths {
		if err := n.addSysctl(all, path); err != nil {
			return nil, err
		}
	}
	for dir, values := range set.Devices {
		devices, err := dirNames(n.procSys(dir))
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list sysctls: %w", err)
		}
		for _, device := range devices {
			for _, value := range values {
				if err := n.addSysctl(all, dir+"/"+device+"/"+value); err != nil {
					return nil, err
				}
			}
		}
	}
	return all, nil
}

func (n *NS) addSysctl(all map[string]string, path string) error {
	data, err := readSmall(n.procSys(path))
	if absent(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sysctl: %w", err)
	}
	all[path] = strings.TrimRight(string(data), "\n")
	return nil
}

// sysctl is one value; empty where it cannot be read.
func (n *NS) sysctl(path string) string {
	data, err := readSmall(n.procSys(path))
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(data), "\n")
}

// absent says whether an error is that of a file that is not there, or is gone with its device (EINVAL, of some files of proc whose device has left
// while they were open).
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOTDIR)
}

func dirNames(path string) ([]string, error) {
	d, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}
