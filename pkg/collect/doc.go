// Package collect turns what package host reads into a snapshot: which kinds, of the node and of each pod, twice where counters are to
// become deltas.
package collect
