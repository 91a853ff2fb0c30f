// Package lab builds nodes out of network namespaces, with real devices, real packets, the real kube-proxy and the real CNI plugins, and audits them
// with the real netmendctl. Everything has a name of its own and goes away with the test, so that tests can run beside each other and beside
// whatever else the machine does; the machine's own network is never changed.
//
// Everything needs root and iproute2.
package lab

// TB is what of testing.TB the lab needs, so that programs can use it too.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}
