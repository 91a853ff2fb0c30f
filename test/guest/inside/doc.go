// Package inside holds the tests that package guest runs in a guest kernel, where the guest is a node of its own. Elsewhere they do not run: they
// change the machine.
package inside
