package host

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Found is a network namespace that somebody on the node uses.
type Found struct {
	Path  string // that opens it: below run/netns where it has a name there, else that of a process
	Inode uint64
	PID   int    // the first process that lives in it; 0 for none
	Comm  string // that process's name
}

// Namespaces finds the network namespaces that have a name below /run/netns or a process, but the node's own, the program's and that of the first
// process. They are in no order. Denied is how many processes did not let their namespace be seen; they may live in namespaces that are not found.
func (h *Host) Namespaces() (found []Found, denied int) {
	skip := h.notPods()
	index := map[uint64]int{}
	add := func(f Found) {
		if skip[f.Inode] {
			return
		}
		i, seen := index[f.Inode]
		switch {
		case !seen:
			index[f.Inode] = len(found)
			found = append(found, f)
		case found[i].PID == 0:
			found[i].PID = f.PID
		}
	}
	for _, dir := range h.netnsDirs() {
		for _, f := range namedNamespaces(dir) {
			add(f)
		}
	}
	for _, pid := range h.pids() {
		path := h.Path("proc", strconv.Itoa(pid), "ns/net")
		inode, err := linkedNamespace(path)
		if os.IsPermission(err) && pid != 1 {
			denied++
		}
		if err == nil {
			add(Found{Path: path, Inode: inode, PID: pid})
		}
	}
	for i := range found {
		if found[i].PID != 0 {
			found[i].Comm = h.comm(found[i].PID)
		}
	}
	return found, denied
}

// initialNamespace is NET_NS_INIT_INO of linux/nsfs.h: the number of the initial network namespace since 6.18, and of nothing before.
const initialNamespace = 0xEFFFFFF9

// notPods are the namespaces that cannot be a pod's. The first process may refuse to show its own: it does to one that has fewer capabilities.
func (h *Host) notPods() map[uint64]bool {
	skip := map[uint64]bool{h.node.Inode: true, initialNamespace: true}
	for _, path := range []string{h.Path("proc/1/ns/net"), "/proc/self/ns/net"} {
		if inode, err := linkedNamespace(path); err == nil {
			skip[inode] = true
		}
	}
	return skip
}

// netnsDirs are the directories in which namespaces have names. On most distributions the second is the first.
func (h *Host) netnsDirs() []string {
	dirs := []string{h.Path("run/netns"), h.Path("var/run/netns")}
	a, err := os.Stat(dirs[0])
	b, err2 := os.Stat(dirs[1])
	if err == nil && err2 == nil && os.SameFile(a, b) {
		return dirs[:1]
	}
	return dirs
}

// namedNamespaces lists a directory's namespaces. Files that no namespace is mounted on, as a crash or a container without mount propagation leaves
// them, are none.
func namedNamespaces(dir string) []Found {
	names, err := dirNames(dir)
	if err != nil {
		return nil
	}
	var all []Found
	for _, name := range names {
		path := filepath.Join(dir, name)
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Statfs(path, &fs) == nil && fs.Type == unix.NSFS_MAGIC && unix.Stat(path, &st) == nil {
			all = append(all, Found{Path: path, Inode: st.Ino})
		}
	}
	return all
}

// linkedNamespace reads the inode number of a namespace from a link of proc, "net:[4026531840]".
func linkedNamespace(path string) (uint64, error) {
	target, err := os.Readlink(path)
	if err != nil {
		return 0, err
	}
	number, ok := strings.CutPrefix(target, "net:[")
	if !ok {
		return 0, os.ErrInvalid
	}
	return strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
}
