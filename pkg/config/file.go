package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/nodefs"
)

// File is a configuration file with what is in force of it. Its methods may be called by several goroutines.
type File struct {
	path  string
	suite *audit.Suite

	mu      sync.Mutex
	current *Config
	refused error
	data    []byte // as it was read last; nil where there was no file
}

// Open reads the file. Its error is that of a file that cannot be read or is wrong, in one line; there is then no configuration. One that is not there is
// [Default]. The suite has the names of the checks.
func Open(path string, suite *audit.Suite) (*File, error) {
	f := &File{path: path, suite: suite}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Config is the configuration in force.
func (f *File) Config() *Config {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

// Refused is why the file as it is now is not in force; nil where it is.
func (f *File) Refused() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refused
}

// Reload reads the file again. A wrong one is refused with its error, and the one before stays in force. Changed says whether what is in force is another now, or
// whether why the file is refused is.
func (f *File) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	data, err := read(f.path)
	if err == nil && f.current != nil && f.refused == nil && bytes.Equal(data, f.data) && (data == nil) == (f.data == nil) {
		return false, nil
	}
	next := Default()
	if err == nil && data != nil {
		next, err = Parse(data, f.suite)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", f.path, err)
		changed = f.refused == nil || f.refused.Error() != err.Error()
		f.refused = err
		return changed, err
	}
	f.current, f.refused, f.data = next, nil, data
	return true, nil
}

// read gives nil for a file that is not there. One that is not regular is not waited for.
func read(path string) (_ []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, pathless(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, pathless(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, pathless(err)
	}
	if data == nil {
		data = []byte{}
	}
	return data, nil
}

// pathless is an error without the path, which is said once.
func pathless(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Op, p.Err)
	}
	return err
}

const (
	settled  = 100 * time.Millisecond // an editor writes a file in several steps
	glance   = time.Minute            // without an event: a file system that has none, as NFS
	blind    = 5 * time.Second        // where nothing can be watched
	maxLinks = 8                      // on the way to the file
)

// Watch reloads the file whenever it changes, whether it is written, replaced, or is behind symbolic links that are exchanged, as Kubernetes does it with a
// ConfigMap, until the context ends. It calls back after each reload that changed something, with why the file is refused. Where the kernel's watches cannot be
// had it looks every five seconds.
func (f *File) Watch(ctx context.Context, changed func(refused error)) {
	var heard <-chan struct{}
	n, err := nodefs.NewNotifier()
	if err == nil {
		defer n.Close()
		heard = n.Changed()
	}
	for ctx.Err() == nil {
		most := glance
		if heard == nil || n.Watch(f.dirs()...) != nil {
			most = blind
		}
		if news, err := f.Reload(); news {
			changed(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(most):
		case _, ok := <-heard:
			if !ok {
				heard = nil
			}
			select {
			case <-ctx.Done():
			case <-time.After(settled):
			}
		}
	}
}

// dirs are the directories in which something decides what the file is: its own and those of the links that lead to it.
func (f *File) dirs() []string {
	path, err := filepath.Abs(f.path)
	if err != nil {
		path = f.path
	}
	dirs := []string{filepath.Dir(path)}
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}
