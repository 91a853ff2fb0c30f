// Package report writes what an audit found: for people as text, a table, Markdown or one HTML page, for programs as JSON, YAML or SARIF, and as the
// one line that node-problem-detector takes.
//
// A [Document] is the JSON report; every other format is made from it. Names and messages come from a snapshot, and a snapshot may come from a stranger:
// each format neutralises what could mean something in it (terminal escapes, markup, links, line ends).
package report
