package cni

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestLoad adds and deletes a pod 1,000 times, 32 at a time, while something that calls itself the daemon is started, hung, made to lie and killed in turn.
func TestLoad(t *testing.T) {
	n := kubernetesNode(t)
	bridge, netmend := plugins(t)
	pod := lab.NewNS(t, "pod")
	socket := filepath.Join(t.TempDir(), "s")
	netmend["prevResult"] = json.RawMessage(n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out)
	netmend["socket"], netmend["type"], netmend["logFile"] = socket, "netmend", filepath.Join(t.TempDir(), "log")
	netmend["timeout"] = "10s" // 32 processes on few processors
	stdin, err := json.Marshal(netmend)
	if err != nil {
		t.Fatal(err)
	}
	before := n.Sh("ls /run/netns | wc -l; ls /tmp | wc -l")
	stop := make(chan struct{})
	var daemon sync.WaitGroup
	daemon.Go(func() { badDaemon(socket, stop) })
	work := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex
	warned, slowest := 0, time.Duration(0)
	for range 32 {
		workers.Go(func() {
			for i := range work {
				start := time.Now()
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
				mu.Lock()
				slowest = max(slowest, time.Since(start))
				mu.Unlock()
			}
		})
	}
	for i := range 1000 {
		work <- i
	}
	close(work)
	workers.Wait()
	close(stop)
	daemon.Wait()
	if warned > 0 {
		t.Errorf("%d of 1000 healthy pods gave a warning", warned)
	}
	if after := n.Sh("ls /run/netns | wc -l; ls /tmp | wc -l"); strings.Fields(after)[0] < strings.Fields(before)[0] {
		t.Errorf("namespaces: %s before, %s after", before, after)
	}
	if out := n.Sh("ps -o stat= -C netmend || true"); strings.TrimSpace(out) != "" {
		t.Errorf("processes left: %s", out)
	}
	log, err := os.ReadFile(netmend["logFile"].(string))
	if lines := strings.Split(strings.TrimSpace(string(log)), "\n"); err != nil || len(lines) < 1900 {
		t.Errorf("%d lines in the log: %v", len(lines), err)
	} else {
		for _, line := range lines {
			if !json.Valid([]byte(line)) {
				t.Fatalf("a torn line in the log: %q", line)
			}
		}
	}
	t.Logf("slowest ADD and DEL: %s", slowest)
}

// badDaemon listens and does in turn what no daemon should.
func badDaemon(socket string, stop <-chan struct{}) {
	for turn := 0; ; turn++ {
		l, err := net.Listen("unix", socket)
		if err != nil {
			return
		}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				switch turn % 5 {
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
		}()
		select {
		case <-stop:
			l.Close()
			return
		case <-time.After(30 * time.Millisecond):
			l.Close()
		}
	}
}

// TestNamespaceGone removes the pod's namespace: ADD gives the error that the specification has for it, DEL succeeds.
func TestNamespaceGone(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	bridge, netmend := plugins(t)
	pod := lab.NewNS(t, "pod")
	netmend["prevResult"] = json.RawMessage(n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out)
	gone := &lab.NS{Name: "gone", Path: "/run/netns/" + pod.Name + "-gone"}
	if o := n.run(call{plugin: "netmend", command: "ADD", pod: gone}, netmend); o.fail == nil || o.fail.Code != 8 {
		t.Errorf("ADD: %s; want code 8", o.fail)
	}
	n.must(n.run(call{plugin: "netmend", command: "DEL", pod: gone}, netmend))
	if o := n.run(call{plugin: "netmend", command: "ADD", pod: pod}, map[string]any{"cniVersion": "1.0.0"}); o.fail == nil || o.fail.Code != 7 || !strings.Contains(o.fail.Msg, "place netmend after the main plugin") {
		t.Errorf("without a result: %s; want code 7 with the hint", o.fail)
	}
}
