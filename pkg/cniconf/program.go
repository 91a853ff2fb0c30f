package cniconf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/version"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/nodefs"
)

// program is where the runtime finds the plugin.
func (k *Keeper) program() string { return filepath.Join(k.o.BinDir, pluginType) }

// sums remembers hashes of programs: one of 10 MB is not read again while its inode, size and times stay.
type sums map[string]programSum

type programSum struct {
	info fs.FileInfo
	sum  string
}

func (s sums) of(path string) (string, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if was, ok := s[path]; err == nil && ok && os.SameFile(was.info, info) && was.info.Size() == info.Size() && was.info.ModTime().Equal(info.ModTime()) {
		return was.sum, info, f.Close()
	}
	h := sha256.New()
	if err == nil {
		_, err = io.Copy(h, f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", nil, err
	}
	s[path] = programSum{info, hex.EncodeToString(h.Sum(nil))}
	return s[path].sum, info, nil
}

// programStep is what makes the program there be the one to install; none where it is.
func (k *Keeper) programStep() ([]Step, error) {
	if k.o.Plugin == "" {
		return nil, errors.New("no plugin to install was given")
	}
	want, info, err := k.sums.of(k.o.Plugin)
	if err != nil {
		return nil, fmt.Errorf("read plugin: %w", err)
	}
	if info.Size() == 0 {
		return nil, fmt.Errorf("read plugin: %s is empty", k.o.Plugin)
	}
	got, is, err := k.sums.of(k.program())
	if err == nil && got == want && is.Mode().Perm() == 0o755 {
		return nil, nil
	}
	return []Step{{Op: Copy, Path: k.o.Plugin, To: k.program()}}, nil
}

// copyProgram puts the program where the runtime finds it, after it has shown that it runs on this node.
func (k *Keeper) copyProgram(ctx context.Context) error {
	if err := os.MkdirAll(k.o.BinDir, 0o755); err != nil {
		return err
	}
	from, err := os.Open(k.o.Plugin)
	if err != nil {
		return err
	}
	name, err := k.prepare(k.program(), from, fileOwner{mode: 0o755, uid: os.Geteuid(), gid: os.Getegid()})
	if err = errors.Join(err, from.Close()); err != nil {
		return err
	}
	if err = probe(ctx, name, ""); err == nil {
		err = os.Rename(name, k.program())
	}
	if err != nil {
		return errors.Join(err, k.unlink(name))
	}
	k.step("placed " + pluginType)
	return nodefs.SyncDir(k.o.BinDir)
}

// probeTime bounds how long a plugin may take to say its versions.
const probeTime = 10 * time.Second

// probe asks a plugin for the versions of CNI that it speaks, as runtimes do (libcni, ValidateNetworkList), so that no chain names a program that does not
// run or that refuses the chain's version. An empty version is not asked for.
func probe(ctx context.Context, path, cniVersion string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	out, err := askVersions(ctx, path)
	if err != nil {
		return fmt.Errorf("ask %s for its CNI versions: %w: give a CNI plugin that was built for this node", path, err)
	}
	info, err := (&version.PluginDecoder{}).Decode(out)
	if err != nil {
		return fmt.Errorf("ask %s for its CNI versions: %w: give a CNI plugin", path, err)
	}
	if versions := info.SupportedVersions(); cniVersion != "" && !slices.Contains(versions, cniVersion) {
		return fmt.Errorf("%s does not speak CNI %s, which the configuration asks for; it speaks %s", path, cniVersion, strings.Join(versions, ", "))
	}
	return nil
}

// askVersions runs a plugin. A program that was just written is busy as long as a process that another thread has forked meanwhile has not run its own
// program yet and so still holds the file open; libcni's own exec then runs one command twice and fails.
func askVersions(ctx context.Context, path string) ([]byte, error) {
	for {
		c := exec.CommandContext(ctx, path)
		c.Env = (&invoke.Args{Command: "VERSION", NetNS: "dummy", IfName: "dummy", Path: "dummy"}).AsEnv() // old plugins want all of them
		c.Stdin = strings.NewReader(fmt.Sprintf(`{"cniVersion":%q}`, version.Current()))
		c.WaitDelay = time.Second // a child of it may hold its output open
		out, err := c.Output()
		if !errors.Is(err, unix.ETXTBSY) {
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const (
	resultsDir = "/var/lib/cni/results" // libcni.CacheDir + "/results"
	maxResults = 10000
)

// By what container runtimes are known: containerd, also that of k3s and RKE2, by its sockets.
var (
	containerdSockets = []string{"/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock"}
	crioDirs          = []string{"/run/crio", "/var/lib/crio"}
)

// users counts the pods whose cached configuration names netmend. CRI-O takes them down with it (ocicni, loadNetworkFromCache), and taking a
// pod down fails where a program of its chain is missing. A cache that cannot be read counts as one. Where containerd is the only runtime there are none: it
// takes pods down with the configuration that is in force (github.com/containerd/go-cni, Network.Remove).
func (k *Keeper) users() int {
	if k.knows(containerdSockets, true) && k.knows(crioDirs, false) {
		return 0
	}
	dir, err := nodefs.Real(k.o.Root, resultsDir)
	if err != nil {
		return 1
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil || len(entries) > maxResults {
		return 1
	}
	n := 0
	for _, e := range entries {
		data, _, err := readRegular(filepath.Join(dir, e.Name()), maxFile)
		if err != nil {
			continue // it was removed meanwhile, or libcni cannot read it either
		}
		var cached struct {
			Config []byte `json:"config"`
		}
		if json.Unmarshal(data, &cached) == nil && bytes.Contains(cached.Config, []byte(`"`+pluginType+`"`)) {
			n++
		}
	}
	return n
}

// knows says whether one of these files is known to be on the node, or none of them is.
func (k *Keeper) knows(paths []string, there bool) bool {
	found := false
	for _, path := range paths {
		at, err := nodefs.Real(k.o.Root, path)
		if err != nil {
			return false
		}
		found = found || exists(at)
	}
	return found == there
}
