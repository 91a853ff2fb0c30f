package host

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/fix"
)

// getSysctl reads below the root's /proc/sys/net, which shows the calling thread's namespace.
func getSysctl(_ *Host, ns *NS, c fix.Change) (string, error) {
	fd, err := openSysctl(ns, c, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	data, err := readAll(fd, maxFile)
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

// setSysctl is `sysctl -w PATH=VALUE`. The kernel takes a value whole in one write, or refuses it.
func setSysctl(_ *Host, ns *NS, c fix.Change) error {
	if strings.ContainsAny(c.To, "\n\x00") {
		return fmt.Errorf("%q is not one line", c.To)
	}
	fd, err := openSysctl(ns, c, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	data := []byte(c.To + "\n")
	n, err := retry(func() (int, error) { return unix.Write(fd, data) })
	if err == nil && n != len(data) {
		err = fmt.Errorf("%d of %d bytes written", n, len(data))
	}
	return errors.Join(err, unix.Close(fd))
}

// openSysctl walks the path step by step and follows no symbolic link on the way, so that no name, however made, leads out of /proc/sys.
func openSysctl(ns *NS, c fix.Change, flags int) (int, error) {
	_, p := c.Knob.Split()
	if !fix.ValidSysctl(p) {
		return -1, fmt.Errorf("%q is no path below /proc/sys/net", p)
	}
	if c.On.Index > 0 { // the sysctl of a link; the node's own have no index
		if _, err := linkOf(c); err != nil {
			return -1, err
		}
	}
	dir, err := retry(func() (int, error) {
		return unix.Open(filepath.Join(ns.root, "proc/sys"), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return -1, err
	}
	parent, file := path.Split(p)
	for step := range strings.SplitSeq(strings.TrimSuffix(parent, "/"), "/") {
		next, err := retry(func() (int, error) {
			return unix.Openat(dir, step, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		})
		if err = errors.Join(err, unix.Close(dir)); err != nil {
			return -1, err
		}
		dir = next
	}
	fd, err := retry(func() (int, error) { return unix.Openat(dir, file, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) })
	return fd, errors.Join(err, unix.Close(dir))
}
