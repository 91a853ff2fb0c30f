package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

func main() {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "demo: network namespaces need root: sudo make demo")
		os.Exit(1)
	}
	done, err := lab.Prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	s := &stage{}
	ok := s.run(func() { play(s) })
	done()
	if !ok {
		os.Exit(1)
	}
}

// slow and fast are far from what is measured on either side of them: the first retransmission of a SYN comes after a second.
const (
	slow = 500 * time.Millisecond
	fast = 200 * time.Millisecond
)

func play(s *stage) {
	say("Two nodes, each a network namespace, joined by a vxlan tunnel as flannel makes it. On the first, kube-proxy masquerades and its mark",
		"leaks to the tunnel's own packets. A program on the first node connects to a pod on the second:")
	f := lab.NewFlannel(s, 4, "")
	f.MarkAndMasquerade("--random-fully")
	f.Pods[1].Listen(f.Target())
	if took := connect(s, f); took < slow {
		s.Fatalf("the fault does not show: the connect took %s", took)
	}
	say("What does the first node's audit say?")
	run(s, f.Nodes[0], 1, "audit", "--window", "1s")
	say("So be it:")
	run(s, f.Nodes[0], 0, "fix", "--yes")
	say("The same connect, and the same audit:")
	if took := connect(s, f); took > fast {
		s.Fatalf("it is not mended: the connect took %s", took)
	}
	run(s, f.Nodes[0], 0, "audit")
	say("Everything back to what it was, and the same connect:")
	run(s, f.Nodes[0], 0, "undo", "--all")
	if took := connect(s, f); took < slow {
		s.Fatalf("it is not undone: the connect took %s", took)
	}
}

// connect measures and tells, with what the receiving node counts.
func connect(s *stage, f *lab.Flannel) time.Duration {
	bad := f.Nodes[1].Counter("Udp", "InCsumErrors")
	took, err := f.Nodes[0].Connect(f.Target(), 10*time.Second)
	if err != nil {
		s.Fatalf("connect: %v", err)
	}
	fmt.Printf("    connect to %s: %.1f ms; packets that the second node dropped for a bad UDP checksum: %d\n",
		f.Target(), float64(took.Microseconds())/1000, f.Nodes[1].Counter("Udp", "InCsumErrors")-bad)
	return took
}

// run shows a command of netmendctl with what it prints. It must end with the code.
func run(s *stage, n *lab.Node, exit int, args ...string) {
	cmd := lab.Netmendctl(append(args, "--netns", n.Path, "--root", n.Root)...)
	fmt.Println("    # netmendctl " + strings.Join(args, " ") + " --netns " + n.Path)
	out, _ := cmd.CombinedOutput() // the code says it
	for line := range strings.Lines(string(out)) {
		fmt.Print("    " + line)
	}
	if got := cmd.ProcessState.ExitCode(); got != exit {
		s.Fatalf("netmendctl %s ends with %d; it should with %d", strings.Join(args, " "), got, exit)
	}
}

// say prints the play's own words.
func say(words ...string) { fmt.Println("\n" + strings.Join(words, "\n")) }
