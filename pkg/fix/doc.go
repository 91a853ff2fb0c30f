// Package fix holds changes as data: a compare-and-set of named knobs. A fix says what it would change from what to what; package repair makes it
// so, and [Apply] does the same to a snapshot in memory, so that a fix can be tried without a kernel.
package fix
