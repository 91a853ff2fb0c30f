// Package host reads and writes the kernel of one node; no other package does. Paths are below a root, so that a container and a test see what
// they should, and everything about a network namespace is read on a thread that lives in it.
package host
