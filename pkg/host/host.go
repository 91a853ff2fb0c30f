package host

import (
	"errors"
	"fmt"
	"hash/maphash"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrAbsent says that this kernel or node does not have the thing that was asked for, which is neither a fault nor a failure to look.
var ErrAbsent = errors.New("not on this node")

// absence is an [ErrAbsent] that says of what. It is put into words only where somebody reads it: a healthy node lacks many things.
type absence struct {
	what string
	why  string // may be empty
}

func (a *absence) Error() string {
	text := "read " + a.what + ": " + ErrAbsent.Error()
	if a.why != "" {
		text += ": " + a.why
	}
	return text
}

func (a *absence) Unwrap() error { return ErrAbsent }

// Options says which node to read. The zero value is the node and the network namespace that the program runs in.
type Options struct {
	Root  string // prefixes /proc, /sys, /etc, /run and /var; empty: /
	NetNS string // path of the network namespace in which the node lives; empty: the program's own. Root does not prefix it.

	// SHA256 is that of crypto/sha256, which uses the processor's own, for programs that may start a little later because they link it. nil: a slower one.
	SHA256 func([]byte) [32]byte
}

// Host is one node. It is safe for concurrent use.
type Host struct {
	root    string
	procNet string // directory of the calling thread's /proc/net, with a slash behind it
	node    *NS
	bufs    buffers
	names   CounterNames
	seed    maphash.Seed // of hashes of what was read
	sha256  func([]byte) [32]byte
}

// Open checks that the root and the namespace can be used. The caller closes the Host.
func Open(o Options) (*Host, error) {
	root := o.Root
	if root == "" {
		root = "/"
	}
	h := &Host{root: root, procNet: filepath.Join(root, "proc/thread-self/net") + "/", seed: maphash.MakeSeed(), sha256: o.SHA256}
	if !exists(h.procNet) {
		h.procNet = filepath.Join(root, "proc/net") + "/"
		// Opened and not listed: a node has thousands of processes, and the CNI plugin has milliseconds.
		if fd, err := unix.Open(filepath.Join(root, "proc"), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return nil, fmt.Errorf("open root %s: %w", root, err)
		} else if err := unix.Close(fd); err != nil {
			return nil, fmt.Errorf("close root %s: %w", root, err)
		}
	}
	path := o.NetNS
	if path == "" {
		path = "/proc/thread-self/ns/net"
	}
	node, err := h.openNS(path)
	if err != nil {
		return nil, err
	}
	if o.NetNS == "" {
		node.Path = ""
	}
	node.node = true
	h.node = node
	return h, nil
}

// Close releases the node's namespace.
func (h *Host) Close() error { return h.node.Close() }

// Node is the node's own network namespace. It lives as long as the Host.
func (h *Host) Node() *NS { return h.node }

// Namespace opens another network namespace of the node by its path, which the root does not prefix. The caller closes it.
func (h *Host) Namespace(path string) (*NS, error) { return h.openNS(path) }

// Has says whether the node has a file.
func (h *Host) Has(elem ...string) bool { return exists(h.Path(elem...)) }

// Path gives a path of the node as it is reached from here.
func (h *Host) Path(elem ...string) string {
	return filepath.Join(append([]string{h.root}, elem...)...)
}
