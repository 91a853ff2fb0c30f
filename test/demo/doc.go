// Command demo plays an incident with real packets, for a person to watch: two nodes, a connect that takes a second, the audit that finds why, the
// command that it prints, and the same connect in a millisecond. Everything happens in network namespaces that are gone afterwards.
package main
