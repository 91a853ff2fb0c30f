package cni

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestNamespaceGone removes the pod's namespace: ADD gives the error that the specification has for it, DEL succeeds.
func TestNamespaceGone(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	gone := &lab.NS{Name: "gone", Path: "/run/netns/" + pod.Name + "-gone"}
	if o := n.run(call{plugin: "netmend", command: "ADD", pod: gone}, netmend); o.fail == nil || o.fail.Code != 8 {
		t.Errorf("ADD: %s; want code 8", o.fail)
	}
	n.must(n.run(call{plugin: "netmend", command: "DEL", pod: gone}, netmend))
	if o := n.run(call{plugin: "netmend", command: "ADD", pod: pod}, map[string]any{"cniVersion": "1.0.0"}); o.fail == nil || o.fail.Code != 7 || !strings.Contains(o.fail.Msg, "place netmend after the main plugin") {
		t.Errorf("without a result: %s; want code 7 with the hint", o.fail)
	}
}

// TestNamespaceGoes removes the namespace at any moment of an ADD: it succeeds, or it gives the error that the specification has for it. As a runtime tears a
// pod down, first the mount goes and then the file.
func TestNamespaceGoes(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	stdin, err := json.Marshal(netmend)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	n.must(n.feed(call{plugin: "netmend", command: "ADD", pod: pod}, stdin))
	whole := time.Since(start)
	dir := t.TempDir()
	passed, refused := 0, 0
	for i := range 100 {
		path := dir + "/" + string(rune('a'+i%26))
		if _, err := lab.Shell("touch " + path + "; mount --bind " + pod.Path + " " + path); err != nil {
			t.Fatal(err)
		}
		removed := make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(rand.Int64N(int64(3 * whole / 2))))
			_, err := lab.Shell("umount -l " + path)
			removed <- err
			os.Remove(path)
		}()
		switch o := n.feed(call{plugin: "netmend", command: "ADD", pod: &lab.NS{Path: path}}, stdin); {
		case o.fail == nil:
			passed++
		case o.fail.Code == 8 && strings.Contains(o.fail.Msg, path):
			refused++
		default:
			t.Errorf("ADD: %s; want code 8 with the path", o.fail)
		}
		if err := <-removed; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d passed, %d failed with code 8", passed, refused)
}
