package host

import (
	"io/fs"
	"os"

	"github.com/netmend/netmend/pkg/nodefs"
)

// inRoot gives a path of the node as it is reached from here.
func (h *Host) inRoot(path string) (string, error) { return nodefs.Resolve(h.root, path) }

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
	real, err := h.inRoot(path)
	return err == nil && exists(real)
}
