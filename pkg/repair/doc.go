// Package repair makes planned changes and takes them back. It decides nothing: what to change comes as proposals, and what it does is in a journal
// before the kernel is touched, so that every change can be undone after a crash and after a reboot.
//
// The life of a fix: its preconditions are read back; the journal gets the whole plan, then a mark before each write; the kernel is written
// and read back; the fix is applied, then verified. What fails in the middle is taken back. [Open] finishes or takes back what a dead process left.
package repair
