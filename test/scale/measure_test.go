package scale

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/test/e2e/lab"
)

// ran is what a program did.
type ran struct {
	out, err string
	code     int
	took     time.Duration
	cpu      time.Duration
	rss      int64 // bytes
}

func runIn(t *testing.T, c *lab.Cluster, program string, args ...string) ran {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := c.NS.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	began := time.Now()
	err := cmd.Run()
	r := ran{out: out.String(), err: errs.String(), took: time.Since(began)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r.code, r.cpu = cmd.ProcessState.ExitCode(), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.rss = u.Maxrss << 10
	}
	return r
}

// scanLists reads the same lists, and looks only whether they are JSON.
func scanLists(t *testing.T, c *lab.Cluster) time.Duration {
	t.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for _, path := range []string{"/apis/" + nodereport.APIVersion + "/" + nodereport.Resource, "/api/v1/nodes", "/api/v1/namespaces/kube-system/pods"} {
		all.Go(func() {
			pages := 0
			for next := ""; pages == 0 || next != ""; pages++ {
				text, err := c.Do("GET", path+"?limit=500&continue="+next, nil)
				if err != nil || !json.Valid(text) {
					t.Errorf("%s: %v", path, err)
					return
				}
				next = rest(text)
			}
			if pages != nodes/500 {
				t.Errorf("%s has %d pages; want %d", path, pages, nodes/500)
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

// first gives what is measured, with its API server, a processor before what else the machine does, where the kernel groups tasks by session (sched(7), autogroup) and
// lets it. The returned function takes that back.
func first(t *testing.T) (undo func()) {
	const group = "/proc/self/autogroup"
	if err := os.WriteFile(group, []byte("-15"), 0); err != nil {
		t.Logf("what is measured shares the processors evenly: %v", err)
		return func() {}
	}
	return func() {
		if err := os.WriteFile(group, []byte("0"), 0); err != nil {
			t.Error(err)
		}
	}
}

// rest is where a list goes on. The API server writes it at the beginning of its own lists and at the end of those of custom resources.
func rest(page []byte) string {
	for _, part := range [][]byte{page[:min(len(page), 1000)], page[max(0, len(page)-1000):]} {
		if _, behind, found := bytes.Cut(part, []byte(`"metadata":{"continue":"`)); found {
			token, _, _ := bytes.Cut(behind, []byte(`"`))
			return string(token)
		}
		if _, behind, found := bytes.Cut(part, []byte(`,"continue":"`)); found {
			token, _, _ := bytes.Cut(behind, []byte(`"`))
			return string(token)
		}
	}
	return ""
}
