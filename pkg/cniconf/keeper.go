package cniconf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/netmend/netmend/pkg/nodefs"
)

// Where a node has its CNI files, and where netmend remembers what it did to them; all below the root.
const (
	DefaultConfDir  = "/etc/cni/net.d"
	DefaultBinDir   = "/opt/cni/bin"
	DefaultStateDir = "/var/lib/netmend/cni"
)

// Options say where things are. The zero value is this node, with nothing to copy.
type Options struct {
	Root     string          // of the node; empty: /
	ConfDir  string          // below Root; empty: DefaultConfDir
	BinDir   string          // below Root; empty: DefaultBinDir
	StateDir string          // below Root; empty: DefaultStateDir
	Plugin   string          // the program to copy, not below Root
	Entry    json.RawMessage // what to insert, an object whose type is netmend; empty: {"type":"netmend"}. One that is in a chain already stays as it is
	Who      string          // for another process that waits for the lock
	Wait     time.Duration   // how long to wait for another process
}

// ErrNoConfig says that there is no configuration that the runtime could use: no pod network has been installed yet.
var ErrNoConfig = errors.New("no usable CNI configuration")

// errChanged says that somebody else wrote a file between the plan and its execution.
var errChanged = errors.New("another process wrote it meanwhile")

// Keeper keeps the plugin in the chain. It may be used by one goroutine at a time.
type Keeper struct {
	o        Options
	settling settling
	sums     sums
	step     func(string) // a test dies here; what has just been done
}

// New checks options and makes a Keeper of them. It touches nothing.
func New(o Options) (*Keeper, error) {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	def(&o.Root, "/")
	def(&o.ConfDir, DefaultConfDir)
	def(&o.BinDir, DefaultBinDir)
	def(&o.StateDir, DefaultStateDir)
	def(&o.Who, "netmend")
	if len(o.Entry) == 0 {
		o.Entry = json.RawMessage(`{"type":"netmend"}`)
	}
	var entry struct{ Type string }
	if err := json.Unmarshal(o.Entry, &entry); err != nil || entry.Type != pluginType {
		return nil, fmt.Errorf("entry %s: it must be a JSON object with the type %q", o.Entry, pluginType)
	}
	var err error
	for _, dir := range []*string{&o.ConfDir, &o.BinDir, &o.StateDir} {
		if *dir, err = nodefs.Real(o.Root, *dir); err != nil {
			return nil, err
		}
	}
	return &Keeper{o: o, settling: settling{seen: map[string]sighting{}}, sums: sums{}, step: func(string) {}}, nil
}

// Outcome is what was done, or would be.
type Outcome struct {
	Steps    []Step   // of the program and the configuration, in their order
	File     string   // the configuration that the runtime uses; empty where there is none
	Network  string   // its name
	Chain    []string // the types of its plugins, as they are when the steps are done
	Waiting  string   // why nothing was inserted yet; it may be tried again soon
	Kept     string   // why the program stays where it is
	Warnings []string // what a person should look at
	Rival    string   // who is likely to rewrite the configuration, and how to stop that; only where netmend has given way
}

// Changed says whether there is anything to do or done.
func (o *Outcome) Changed() bool { return len(o.Steps) > 0 }

// lock keeps other processes away.
func (k *Keeper) lock(ctx context.Context) (*os.File, error) {
	if err := os.MkdirAll(k.o.StateDir, 0o700); err != nil {
		return nil, err
	}
	return nodefs.Lock(ctx, filepath.Join(k.o.StateDir, "lock"), k.o.Who, k.o.Wait)
}

const (
	replans     = 5                      // how often a plan is made anew that somebody else's write has made stale
	settlePause = 100 * time.Millisecond // between two looks at a file that is being written
)

// Install puts the program into its directory and the plugin into the chain. It does nothing where both are there. A file that is being written is given
// time. ErrNoConfig says that only the program was installed.
func (k *Keeper) Install(ctx context.Context) (*Outcome, error) {
	return k.settled(ctx, func() (*Outcome, error) { return k.once(ctx, k.planInstall, nil) })
}

// PlanInstall says what Install would do, and touches nothing.
func (k *Keeper) PlanInstall(ctx context.Context) (*Outcome, error) {
	return k.settled(ctx, func() (*Outcome, error) {
		p, err := k.planInstall()
		return p.outcome(), err
	})
}

func (k *Keeper) settled(ctx context.Context, try func() (*Outcome, error)) (*Outcome, error) {
	for {
		o, err := try()
		if err != nil || o.Waiting == "" {
			return o, err
		}
		select {
		case <-ctx.Done():
			return o, ctx.Err()
		case <-time.After(settlePause):
		}
	}
}

// Uninstall takes the plugin out of every chain, restores what nobody else has changed, and removes the program last. Kept in the outcome says why the
// program had to stay.
func (k *Keeper) Uninstall(ctx context.Context) (*Outcome, error) {
	return k.once(ctx, k.planUninstall, nil)
}

// PlanUninstall says what Uninstall would do, and touches nothing.
func (k *Keeper) PlanUninstall() (*Outcome, error) {
	p, err := k.planUninstall()
	return p.outcome(), err
}

// once plans and executes under the lock. A veto takes steps out of a plan.
func (k *Keeper) once(ctx context.Context, plan func() (*plan, error), veto func(*plan)) (out *Outcome, err error) {
	lock, err := k.lock(ctx)
	if err != nil {
		return &Outcome{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	k.step("locked")
	for try := 1; ; try++ {
		p, planErr := plan()
		if veto != nil {
			veto(p)
		}
		err := p.execute(ctx, k)
		if errors.Is(err, errChanged) && try < replans && ctx.Err() == nil {
			continue
		}
		return p.outcome(), errors.Join(planErr, err)
	}
}

// exists says whether there is a file, or a link to nowhere, of that name.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
