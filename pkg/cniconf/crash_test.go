package cniconf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestMain makes the test binary be the process that dies, where it is told so.
func TestMain(m *testing.M) {
	if root := os.Getenv("NETMEND_TEST_ROOT"); root != "" {
		os.Exit(die(root, os.Getenv("NETMEND_TEST_WORK"), os.Getenv("NETMEND_TEST_STEP")))
	}
	os.Exit(m.Run())
}

// die works on a node and kills itself, as kill -9 does, behind a step.
func die(root, work, step string) int {
	at, err := strconv.Atoi(step)
	if err != nil {
		return 2
	}
	k, err := New(Options{Root: root, Plugin: filepath.Join(root, "netmend-plugin"), Who: "dying", Wait: 5 * time.Second})
	if err != nil {
		return 2
	}
	k.step = func(string) {
		if at--; at == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // the signal is on its way
		}
	}
	if work == "install" {
		_, err = k.Install(context.Background())
	} else {
		_, err = k.Uninstall(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	return 0
}

// dies runs the work in a process that is killed at a step; false: it came to its end before.
func (n *node) dies(work string, step int) bool {
	n.t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	c.Env = append(os.Environ(), "NETMEND_TEST_ROOT="+n.root, "NETMEND_TEST_WORK="+work, "NETMEND_TEST_STEP="+strconv.Itoa(step))
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	n.t.Fatalf("%s, step %d: %v: %s", work, step, err, out)
	return false
}

// TestKilledAtEveryStep kills installation and removal behind each of their steps. At every moment the runtime finds a configuration and every program that
// it names; whoever comes next finishes either way, and all is as it was before.
func TestKilledAtEveryStep(t *testing.T) {
	for _, name := range []string{"10-flannel.conflist", "10-bridge.conf", "10-bridge.json"} {
		for _, work := range []string{"install", "uninstall", "upgrade", "after a rewrite"} {
			if work == "upgrade" && name != "10-flannel.conflist" {
				continue // the program's part is the same for all
			}
			t.Run(name+" "+work, func(t *testing.T) {
				t.Parallel()
				for step := 1; ; step++ {
					n := newNode(t)
					source := name
					if name == "10-bridge.json" {
						source = "10-bridge.conf"
					}
					data, err := os.ReadFile(filepath.Join("testdata", source))
					if err != nil {
						t.Fatal(err)
					}
					n.write(name, string(data))
					n.before = n.files()
					_, chain := n.runtime()
					what := fmt.Sprintf("%s %s, killed at step %d", name, work, step)
					do := "install"
					switch work {
					case "uninstall":
						n.install()
						do = "uninstall"
					case "upgrade":
						n.file(n.binary(), "#!/bin/sh\n", 0o755) // no chain names it yet
					case "after a rewrite":
						n.install()
						n.write(name, string(data))
					}
					killed := n.dies(do, step)
					n.sound(what, chain)
					if step%2 == 0 {
						n.install()
						if _, got := n.runtime(); got[len(got)-1] != "netmend" {
							t.Errorf("%s, then installed: the chain is %v", what, got)
						}
						n.sound(what+", then installed", chain)
					}
					n.uninstall()
					n.restored(what + ", then uninstalled")
					if !killed {
						if step < 6 && work != "after a rewrite" { // which may need no more than a rename
							t.Errorf("%s: there are only %d steps", what, step-1)
						}
						return
					}
				}
			})
		}
	}
}
