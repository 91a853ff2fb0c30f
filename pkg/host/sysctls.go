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
func (n *NS) Sysctls(paths []string) (all map[string]string, err error) {
	all = make(map[string]string, len(paths))
	dirs := sysctlDirs{}
	defer func() { err = errors.Join(err, dirs.close()) }()
	for _, path := range paths {
		if err := n.sysctlBelow(dirs, path, all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// sysctlDirs are open directories such as net/ipv4, by their paths; -1 for one that is not there. The directories of all namespaces have one parent
// and are told apart by a walk along them, so that opening each value by its whole path would take time that grows with the square of the pods.
type sysctlDirs map[string]int

// open gives the directory's descriptor; -1 where it is not there.
func (d sysctlDirs) open(n *NS, dir string) (int, error) {
	if fd, ok := d[dir]; ok {
		return fd, nil
	}
	fd, err := retry(func() (int, error) { return unix.Open(n.procSys(dir), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	if absent(err) {
		fd, err = -1, nil
	}
	if err != nil {
		return -1, fmt.Errorf("open %s: %w", n.procSys(dir), err)
	}
	d[dir] = fd
	return fd, nil
}

func (d sysctlDirs) close() (err error) {
	for _, fd := range d {
		if fd >= 0 {
			err = errors.Join(err, unix.Close(fd))
		}
	}
	return err
}

func (n *NS) sysctlBelow(dirs sysctlDirs, path string, all map[string]string) error {
	dir, rest := cutSecond(path)
	fd, err := dirs.open(n, dir)
	if err != nil {
		return fmt.Errorf("read sysctl: %w", err)
	}
	if fd < 0 {
		return nil
	}
	switch value, err := readSysctl(fd, rest); {
	case err == nil:
		all[path] = value
	case !absent(err):
		return fmt.Errorf("read sysctl %s: %w", path, err)
	}
	return nil
}

// The kernel allocates and clears as much memory as a read of a sysctl asks for (proc_sys_call_handler): asking for 64 KiB takes longer than all the rest.
const sysctlBuffer = 128

// readSysctl reads the value of a file below an open directory, without its closing newline. The kernel gives a value from its beginning only, and to a read from
// elsewhere nothing (proc_dostring), so one that fills the buffer is read again into a larger one.
func readSysctl(dir int, path string) (string, error) {
	fd, err := retry(func() (int, error) { return unix.Openat(dir, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) })
	if err != nil {
		return "", &fs.PathError{Op: "open", Path: path, Err: err}
	}
	var small [sysctlBuffer]byte
	buf := small[:]
	n, err := retry(func() (int, error) { return unix.Pread(fd, buf, 0) })
	for err == nil && n == len(buf) && n <= maxFile {
		buf = make([]byte, 16*len(buf))
		n, err = retry(func() (int, error) { return unix.Pread(fd, buf, 0) })
	}
	if err == nil && n > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return strings.TrimRight(string(buf[:n]), "\n"), nil
}

// cutSecond cuts "net/ipv4/conf/all/forwarding" into "net/ipv4" and the rest.
func cutSecond(path string) (dir, rest string) {
	first, rest, _ := strings.Cut(path, "/")
	second, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return first, second
	}
	return first + "/" + second, rest
}

func (n *NS) addSysctl(all map[string]string, path string) error {
	switch value, err := readSysctl(unix.AT_FDCWD, n.procSys(path)); {
	case err == nil:
		all[path] = value
	case !absent(err):
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
	value, err := readSysctl(unix.AT_FDCWD, n.procSys(path))
	if err != nil {
		return ""
	}
	return value
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
