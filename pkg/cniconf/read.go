package cniconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containernetworking/cni/libcni"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/nodefs"
)

const (
	maxFile  = 1 << 20 // bytes of a configuration; a usual one has a thousand
	maxFiles = 256     // configurations in a directory; a node has one or two
)

// confFile is one configuration file.
type confFile struct {
	name string // in the directory
	path string // where its bytes are, links followed
	data []byte
	info fs.FileInfo
	list *libcni.NetworkConfigList // nil where err says why it cannot be used
	err  error
}

// mentions says whether a file names netmend, even where it cannot be decoded.
func (f *confFile) mentions() bool {
	if f.list != nil {
		return len(own(f.list)) > 0
	}
	return bytes.Contains(f.data, []byte(`"`+pluginType+`"`))
}

// suffixes are those that runtimes read.
func suffixes() []string { return []string{".conf", ".conflist", ".json"} }

// files reads the directory in the runtime's order. A directory that is not there has none. What cannot be read of one file is that file's err; only what
// may not be read is an error, because nobody could say then which comes first.
func (k *Keeper) files() ([]confFile, error) {
	entries, err := os.ReadDir(k.o.ConfDir) // sorted as sort.Strings does
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read CNI configuration: %w", err)
	}
	var all []confFile
	for _, e := range entries {
		if e.IsDir() || !slices.Contains(suffixes(), filepath.Ext(e.Name())) {
			continue
		}
		if len(all) == maxFiles {
			return nil, fmt.Errorf("read CNI configuration: %s holds more than %d files", k.o.ConfDir, maxFiles)
		}
		f := k.file(e.Name())
		if errors.Is(f.err, fs.ErrPermission) {
			return nil, fmt.Errorf("read CNI configuration: %w", f.err)
		}
		if !errors.Is(f.err, fs.ErrNotExist) || exists(filepath.Join(k.o.ConfDir, f.name)) { // it was removed while the directory was read
			all = append(all, f)
		}
	}
	return all, nil
}

// file reads one file of the directory.
func (k *Keeper) file(name string) confFile {
	f := confFile{name: name}
	dir, err := filepath.Rel(k.o.Root, k.o.ConfDir)
	if err == nil {
		f.path, err = nodefs.Real(k.o.Root, filepath.Join("/", dir, name))
	}
	if err == nil {
		f.data, f.info, err = readRegular(f.path, maxFile)
	}
	if err == nil {
		f.list, err = decode(name, f.data)
	}
	f.err = err
	return f
}

// readRegular reads a file of at most that many bytes and never waits for the other end of a pipe.
func readRegular(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(f, limit+1))
	}
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return data, info, errors.Join(err, f.Close())
}

// sighting is a file that cannot be used, as it was when it was first seen so.
type sighting struct {
	size    int64
	changed time.Time // of the file, only ever compared with itself
	since   time.Time // by the monotonic clock
}

// settling tells a file that is being written from one that is broken: the broken one stays as it is.
type settling struct{ seen map[string]sighting }

// settleTime is how long a file must stay unusable before the next in order counts. An installer writes its file in milliseconds.
const settleTime = time.Second

// pending says whether one of the files in front of the first usable one may still become usable.
func (s settling) pending(broken []confFile, now time.Time) bool {
	pending := false
	for _, f := range broken {
		is := sighting{since: now}
		if f.info != nil {
			is.size, is.changed = f.info.Size(), f.info.ModTime()
		}
		was, ok := s.seen[f.name]
		if !ok || was.size != is.size || !was.changed.Equal(is.changed) {
			s.seen[f.name], was = is, is
		}
		pending = pending || now.Sub(was.since) < settleTime
	}
	for name := range s.seen {
		if !slices.ContainsFunc(broken, func(f confFile) bool { return f.name == name }) {
			delete(s.seen, name)
		}
	}
	return pending
}
