// Package guest boots Debian's kernel in an emulator and runs the tests of package inside there: what the kernel at hand may not have (IPVS, ipip,
// geneve, dummy devices), and what exists once per machine and not per network namespace. The guest reaches a real API server outside of it.
package guest
