// Package daemon lets the real netmendd look after nodes of network namespaces, breaks these, the daemon and what it needs, and asks real packets, the kernel
// and a fresh audit what came of it.
package daemon
