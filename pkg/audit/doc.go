// Package audit is what all three programs share: which checks are wanted, which facts they need, collecting those on a Linux node, and judging
// a snapshot, which works on any system. It changes nothing and prints nothing.
package audit
