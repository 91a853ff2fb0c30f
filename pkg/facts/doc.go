// Package facts holds what was read from one node at one moment: plain data, no behaviour that touches a kernel.
//
// A [Snapshot] is the only input of a check and the only thing a fix is planned against, so the same JSON document is a bug report, a
// test case and a dry run. Three states are kept apart everywhere: a kind of facts that was read ([Snapshot.Has]), one that was asked for
// and could not be read ([Snapshot.Missing], with the reason), and one that nobody asked for. An empty group is never used for the last two.
package facts
