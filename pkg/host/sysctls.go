package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sysctls reads values by their paths below /proc/sys, without their closing newline. One that this kernel or this namespace does not have has no key;
// one that may not be read is an error. It must be called inside Do.
func (n *NS) Sysctls(paths []string) (map[string]string, error) {
	all := make(map[string]string, len(paths))
	for _, path := range paths {
		if err := n.addSysctl(all, path); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (n *NS) addSysctl(all map[string]string, path string) error {
	err := n.withFile(n.procSys(path), maxFile, func(b []byte) { all[path] = strings.TrimRight(string(b), "\n") })
	if err != nil && !absent(err) {
		return fmt.Errorf("read sysctl: %w", err)
	}
	return nil
}

// SysctlDevices lists in order the devices, all and default among them, that have a directory below one such as net/ipv4/conf; none where that does
// not exist. It must be called inside Do.
func (n *NS) SysctlDevices(dir string) ([]string, error) {
	names, err := dirNames(n.procSys(dir))
	if err != nil && !absent(err) {
		return nil, fmt.Errorf("list sysctls: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// sysctl is one value; empty where it cannot be read.
func (n *NS) sysctl(path string) string {
	data, err := readSmall(n.procSys(path))
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(data), "\n")
}

// absent says whether an error is that of a file that is not there, or has gone with its device.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOTDIR)
}

func dirNames(path string) ([]string, error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}
