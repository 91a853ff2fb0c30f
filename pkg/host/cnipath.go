package host

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxSymlinks is how many symbolic links the kernel follows in one path (MAXSYMLINKS).
const maxSymlinks = 40

// inRoot gives a path of the node as it is reached from here, its symbolic links followed as the node itself would: an absolute one starts at the root
// again, and ".." does not leave it. A loop of links is an error, as it is for the kernel.
func (h *Host) inRoot(path string) (string, error) {
	if h.root == "/" {
		return path, nil // the kernel does it itself
	}
	done, links := "/", 0
	rest := strings.Split(filepath.Clean(path), "/")
	for len(rest) > 0 {
		next := filepath.Join(done, rest[0]) // joined with "/" it cannot leave it
		rest = rest[1:]
		target, err := os.Readlink(filepath.Join(h.root, next))
		if err != nil {
			done = next // no link
			continue
		}
		if links++; links > maxSymlinks {
			return "", &fs.PathError{Op: "open", Path: path, Err: unix.ELOOP}
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return filepath.Join(h.root, done), nil
}

// readIn reads a small file of the node.
func (h *Host) readIn(path string) ([]byte, error) {
	real, err := h.inRoot(path)
	if err != nil {
		return nil, err
	}
	return readSmall(real)
}

// dirIn lists a directory of the node in the order of its names.
func (h *Host) dirIn(path string) ([]fs.DirEntry, error) {
	real, err := h.inRoot(path)
	if err != nil {
		return nil, err
	}
	return os.ReadDir(real)
}

// statIn asks for a file of the node.
func (h *Host) statIn(path string) (fs.FileInfo, error) {
	real, err := h.inRoot(path)
	if err != nil {
		return nil, err
	}
	return os.Stat(real)
}

// existsIn says whether the node has a file.
func (h *Host) existsIn(path string) bool {
	_, err := h.statIn(path)
	return err == nil
}
