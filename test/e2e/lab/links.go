package lab

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Veth joins two namespaces by a pair of devices, both up.
func Veth(a *NS, aDev string, b *NS, bDev string) {
	a.t.Helper()
	if out, err := Shell(fmt.Sprintf("ip -n %s link add %s type veth peer name %s netns %s", a.Name, aDev, bDev, b.Name)); err != nil {
		a.t.Fatalf("%v: %s", err, out)
	}
	a.Sh("ip link set " + aDev + " up")
	b.Sh("ip link set " + bDev + " up")
}

// WaitFor asks until the answer is yes, at most for the limit. The answer's text says what is still missing.
func WaitFor(t TB, limit time.Duration, what string, ask func() (ok bool, missing string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		ok, missing := ask()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s: %s", limit, what, missing)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// tail is the end of a program's log, on lines of its own.
func tail(log string) string { return Tail(log, 10) }

// Tail is the last lines of a program's log, after a line's end.
func Tail(log string, number int) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return "\n" + err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-number):], "\n")
}
