// Package cluster finds what no single node sees: it compares what the nodes say of themselves ([nodereport.Report]) with each other and with what the
// Kubernetes API says of them. It is pure: the same input gives the same findings, from a cluster or from a file.
package cluster
