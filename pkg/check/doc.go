// Package check defines what a check is and runs checks over a snapshot. A check is a declared value: what facts it needs and a pure
// function from facts to findings. Drivers decide when to run it and what to do about what it finds.
package check
