// Package bench measures what an audit costs, always beside something that everybody can run in the same minute on the same machine: numbers from
// different machines say nothing. Its results are lines "ratio NAME VALUE"; one that is over its limit fails.
package bench
