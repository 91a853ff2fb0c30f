package cni

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestLogCannotBeWritten has places where no line gets through: no pod waits for one, and none fails.
func TestLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"fifo", "full"} {
		if err := syscall.Mkfifo(path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reader, err := os.OpenFile(path("full"), os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if err := fill(reader); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Shell("mkdir " + path("disk") + "; mount -t tmpfs -o size=4k none " + path("disk")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := lab.Shell("umount -l " + path("disk")); err != nil {
			t.Error(err)
		}
	})
	for _, tt := range []struct{ name, file string }{
		{"a pipe that nobody reads", path("fifo")},
		{"a pipe that is full", path("full")},
		{"a full disk", path("disk/log")},
		{"a full device", "/dev/full"},
		{"a directory", dir},
		{"a directory that is not there", path("gone/log")},
		{"a file that takes no writing", "/proc/version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			netmend["logFile"] = tt.file
			fastest := time.Minute
			for range 10 {
				start := time.Now()
				n.must(n.run(call{plugin: "netmend", command: "ADD", pod: pod}, netmend))
				n.must(n.run(call{plugin: "netmend", command: "DEL", pod: pod}, netmend))
				fastest = min(fastest, time.Since(start))
			}
			if fastest > 5*time.Second {
				t.Errorf("ADD and DEL wait %s for it", fastest)
			}
		})
	}
}

// fill writes into a pipe until nothing fits.
func fill(pipe *os.File) error {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return err
	}
	full := false
	err = raw.Write(func(fd uintptr) bool {
		for !full {
			_, err := syscall.Write(int(fd), make([]byte, 512))
			full = err == syscall.EAGAIN
		}
		return true
	})
	return err
}

// TestLogIsRotated moves the log away again and again while pods are added: each call has its line, whole and once, in one of the files.
func TestLogIsRotated(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	netmend["type"], netmend["logFile"] = "netmend", log
	stdin, err := json.Marshal(netmend)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var rotation sync.WaitGroup
	rotation.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(15 * time.Millisecond):
				_ = os.Rename(log, fmt.Sprintf("%s.%d", log, i)) // there may be none yet
			}
		}
	})
	const each = 40
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			for j := range each {
				if o := n.feed(call{plugin: "netmend", command: "ADD", pod: pod, id: fmt.Sprintf("box-%d-%d", i, j)}, stdin); o.fail != nil {
					t.Errorf("ADD: %s", o.fail)
				}
			}
		})
	}
	workers.Wait()
	close(stop)
	rotation.Wait()
	files, err := filepath.Glob(log + "*")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wholeLines(t, data)
		for line := range strings.Lines(string(data)) {
			var r struct{ Container string }
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			seen[r.Container]++
		}
	}
	if len(seen) < 4*each*9/10 { // one that cannot be begun in time is not written
		t.Errorf("%d of %d calls are in the %d files", len(seen), 4*each, len(files))
	}
	t.Logf("%d of %d calls are in the %d files", len(seen), 4*each, len(files))
	for box, times := range seen {
		if times != 1 {
			t.Errorf("%s is there %d times", box, times)
		}
	}
}
