// Package checks holds the checks of netmend, one file each, named for the check. Each is a declared value, and zall.go lists them all.
//
// Adding one takes its file (snake_case of its name, with one exported variable), a folder testdata/<name> and, where it offers a change, a
// line in autofix.go; then `make gen`. The folder holds snapshots with only the kinds of facts that the check uses, each with a note:
//
//	fires-<what>.json         the check finds something; fires-<what>.txt is what (go test ./pkg/checks -update writes it)
//	clean-<what>.json         a healthy node, on which no check may find a warning
//	clean-almost-<what>.json  one that is healthy by a hair: the guard against a false alarm; at least one
//
// Whole healthy nodes with every kind of facts are in testdata/healthy; on them no check may find more than something worth knowing.
package checks
