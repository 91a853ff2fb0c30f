// Package herald tells a cluster what a node says of itself: the node's NodeNetworkReport, a condition and Events of its Node, Events of its pods, and a taint.
//
// It never holds the daemon up. Of what happens while the API server is away it keeps the newest state, and a bounded number of Events; when the API server is
// back it catches up. It reads and writes one node's objects only; see docs/daemon.md for every request that it makes.
package herald
