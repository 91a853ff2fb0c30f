package cni

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/test/e2e/lab"
)

// loadConfig is for a pod on the node, with a log of its own and a socket at which something calls itself the daemon.
func loadConfig(t *testing.T, n *node) (pod *lab.NS, stdin []byte, socket, log string) {
	t.Helper()
	pod, netmend := n.added(t)
	socket, log = filepath.Join(t.TempDir(), "s"), filepath.Join(t.TempDir(), "log")
	netmend["socket"], netmend["type"], netmend["logFile"] = socket, "netmend", log
	stdin, err := json.Marshal(netmend)
	if err != nil {
		t.Fatal(err)
	}
	return pod, stdin, socket, log
}

// many adds and deletes a pod, 32 at a time.
func (n *node) many(t *testing.T, pod *lab.NS, stdin []byte, times int) (warned int) {
	work := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex
	for range 32 {
		workers.Go(func() {
			for i := range work {
				for _, command := range []string{"ADD", "DEL"} {
					o := n.feed(call{plugin: "netmend", command: command, pod: pod}, stdin)
					mu.Lock()
					if o.fail != nil {
						t.Errorf("%s %d: %s", command, i, o.fail)
					}
					if len(o.err) > 0 {
						warned++
					}
					mu.Unlock()
				}
			}
		})
	}
	for i := range times {
		work <- i
	}
	close(work)
	workers.Wait()
	return warned
}

// TestLoad adds and deletes a pod 1,000 times, 32 at a time, while something that calls itself the daemon is started, hung, made to lie, replaced and killed.
func TestLoad(t *testing.T) {
	n := kubernetesNode(t)
	pod, stdin, socket, log := loadConfig(t, n)
	before := held(t, n, pod)
	stop := make(chan struct{})
	var daemon sync.WaitGroup
	daemon.Go(func() { badDaemon(t, socket, stop) })
	warned := n.many(t, pod, stdin, 1000)
	close(stop)
	daemon.Wait()
	if warned > 0 {
		t.Errorf("%d of 1000 healthy pods gave a warning", warned)
	}
	// Some of it the kernel gives back a moment later.
	lab.WaitFor(t, 3*time.Minute, "everything to be given back", func() (bool, string) {
		d := cmp.Diff(before, held(t, n, pod))
		return d == "", d
	})
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := wholeLines(t, data)
	if lines < 1900 { // one that cannot be begun in time is not written
		t.Errorf("%d lines in the log", lines)
	}
	t.Logf("%d lines in the log", lines)
}

// wholeLines counts the lines of a log, each of which is one JSON document.
func wholeLines(t *testing.T, data []byte) int {
	t.Helper()
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	for _, line := range lines {
		if !json.Valid(line) {
			t.Fatalf("a torn line in the log: %q", line)
		}
	}
	return len(lines)
}

// held is what plugins could leave behind: processes and sockets in the namespaces of node and pod, mounts and named namespaces, and files where they may
// write. All of it is this test's own: whatever else runs on the machine does not count.
func held(t *testing.T, n *node, pod *lab.NS) map[string]string {
	t.Helper()
	out := map[string]string{}
	for name, ns := range map[string]*lab.NS{"node": n.NS, "pod": pod} {
		pids, err := lab.Shell("ip netns pids " + ns.Name)
		if err != nil {
			t.Fatal(err)
		}
		out["processes of "+name] = pids
		out["sockets of "+name] = ns.Sh("cat /proc/net/unix /proc/net/netlink /proc/net/packet | grep -v -c /tmp/ || true") // the lab's own are in /tmp
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	own := fmt.Sprintf("nm%d-", os.Getpid())
	out["mounts"] = fmt.Sprint(strings.Count(string(mounts), own), strings.Count(string(mounts), n.Root))
	out["files"], err = lab.Shell("find " + n.Root + " " + os.TempDir() + " -maxdepth 1; find " + n.Root + "/ -xdev ! -path '*/run/netns*'")
	if err != nil {
		t.Fatal(err)
	}
	out["descriptors"], err = lab.Shell("ls /proc/" + fmt.Sprint(os.Getpid()) + "/fd | wc -l")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// badDaemon listens and does at random what no daemon should, and what stands at its place is at times no socket at all.
func badDaemon(t *testing.T, socket string, stop <-chan struct{}) {
	for {
		other, what := false, rand.IntN(9)
		switch what {
		case 5:
			other = os.WriteFile(socket, []byte("{}"), 0o600) == nil
		case 6:
			other = os.Mkdir(socket, 0o700) == nil
		case 7:
			other = os.Symlink("/nonexistent", socket) == nil
		case 8:
			other = syscall.Mkfifo(socket, 0o600) == nil
		}
		var l net.Listener
		if !other {
			var err error
			if l, err = net.Listen("unix", socket); err != nil {
				t.Errorf("the bad daemon: %v", err)
				return
			}
			go misbehave(l, what)
		}
		ended := false
		select {
		case <-stop:
			ended = true
		case <-time.After(time.Duration(rand.IntN(60)) * time.Millisecond):
		}
		if l != nil {
			l.Close() // which removes it
		} else if err := os.Remove(socket); err != nil {
			t.Errorf("the bad daemon: %v", err)
		}
		if ended {
			return
		}
	}
}

func misbehave(l net.Listener, what int) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		switch what {
		case 0: // hung, and kept open
			time.AfterFunc(time.Second, func() { c.Close() })
			continue
		case 1:
			fmt.Fprintln(c, `{"netmend":1,"age":-5,"judged":["ip-forward"],"findings":[{"check":"ip-forward","severity":"critical","message":"a lie"}]}`)
		case 2:
			fmt.Fprint(c, strings.Repeat("x", 1<<20))
		case 3:
			fmt.Fprintln(c, `{"netmend":99}`)
		}
		c.Close()
	}
}
