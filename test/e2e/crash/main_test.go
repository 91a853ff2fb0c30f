// Package crash kills netmend while it changes real namespaces, and looks whether the next one finds its way: every fix whole or not there, and what was
// before never lost.
package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/pkg/repair"
)

// work is the environment variable by which the test binary becomes the process that is killed; it holds a job.
const work = "NETMEND_CRASH_JOB"

// job is what a process does.
type job struct {
	NetNS string // path
	Dir   string // of the journal
	Undo  bool   // all fixes, instead of making the proposals
	Fixes []fix.Proposal
	Die   int  // at this operation on the journal or the kernel; 0: never
	After bool // when it is done, instead of in front of it
}

func TestMain(m *testing.M) {
	if text := os.Getenv(work); text != "" {
		os.Exit(child(text))
	}
	if os.Geteuid() != 0 {
		fmt.Println("SKIP: network namespaces need root")
		return
	}
	os.Exit(m.Run())
}

func child(text string) int {
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = j.do()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// do is the whole life of a process.
func (j *job) do() (err error) {
	h, err := host.Open(host.Options{NetNS: j.NetNS})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	m, err := j.open(h)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	ctx := context.Background()
	if j.Undo {
		_, err := m.UndoAll(ctx)
		return err
	}
	for _, p := range j.Fixes {
		if _, err := m.Apply(ctx, p); err != nil && !errors.Is(err, repair.ErrInForce) {
			return err
		}
	}
	return nil
}

func (j *job) open(h *host.Host) (*repair.Mender, error) {
	o := repair.Options{Kernel: repair.HostKernel(h), Dir: j.Dir, Wait: 20 * time.Second, Who: "crash test " + strconv.Itoa(os.Getpid())}
	if j.Die > 0 {
		d := &dying{job: j}
		store, err := repair.OpenDir(context.Background(), j.Dir, o.Who, o.Wait)
		if err != nil {
			return nil, err
		}
		o.Kernel, o.Store = dyingKernel{o.Kernel, d}, dyingStore{store, d}
	}
	return repair.Open(context.Background(), o)
}

// dying kills its own process at one operation.
type dying struct {
	job *job
	ops int
}

func (d *dying) op(do func() error) error {
	d.ops++
	if d.ops == d.job.Die && !d.job.After {
		unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	err := do()
	if d.ops == d.job.Die {
		unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return err
}

type dyingKernel struct {
	repair.Kernel
	d *dying
}

func (k dyingKernel) Set(s repair.Step, from, to string) error {
	return k.d.op(func() error { return k.Kernel.Set(s, from, to) })
}

type dyingStore struct {
	repair.Store
	d *dying
}

func (s dyingStore) Append(data []byte) error {
	return s.d.op(func() error { return s.Store.Append(data) })
}
