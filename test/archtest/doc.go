// Package archtest holds the laws of the repository as tests: which room may import which and why, and the habits that a reader may rely
// on. A failure says the reason, so that whoever meets it can judge whether the code or the law is wrong.
package archtest
