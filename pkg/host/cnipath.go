package host

import (
	"os"
	"path/filepath"
	"strings"
)

// maxSymlinks is how many symbolic links the kernel follows in one path (MAXSYMLINKS).
const maxSymlinks = 40

// inRoot gives a path of the node as it is reached from here, its symbolic links followed as the node itself would: an absolute one starts at the root
// again, and ".." does not leave it. Below / that is what the kernel does anyway.
func (h *Host) inRoot(path string) string {
	if h.root == "/" {
		return path
	}
	done, links := "/", 0
	rest := strings.Split(filepath.Clean(path), "/")
	for len(rest) > 0 {
		step := rest[0]
		rest = rest[1:]
		next := filepath.Join(done, step) // joined with "/" it cannot leave it
		target, err := os.Readlink(filepath.Join(h.root, next))
		if err != nil || links == maxSymlinks {
			done = next
			continue
		}
		links++
		if filepath.IsAbs(target) {
			done = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return filepath.Join(h.root, done)
}
