// Package agent is the daemon's loop: it reads a node when it starts and whenever the kernel tells of a change, judges what can have changed, mends what
// may be mended, and publishes what it knows.
//
// What is read in microseconds, links, addresses, routes and the features of tunnels, is read and judged by the loop itself, so that a tunnel that is
// made anew is mended at once. What is dear, packet filters, pods and the counters of all of them, is read beside the loop, one thing at a time, and
// not more often than its cost allows.
package agent
