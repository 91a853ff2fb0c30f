package cniconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/nodefs"
)

// besideSuffix ends the name under which a file is prepared: libcni reads none that ends so, and no shell shows one that begins with a dot.
const besideSuffix = ".netmend-new"

func beside(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+besideSuffix)
}

// fileOwner is who owns a file and who may read it.
type fileOwner struct {
	mode     fs.FileMode
	uid, gid int
}

func ownerOf(info fs.FileInfo) fileOwner {
	o := fileOwner{mode: info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky), uid: os.Geteuid(), gid: os.Getegid()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		o.uid, o.gid = int(st.Uid), int(st.Gid)
	}
	return o
}

// prepare writes a file beside the one it is for. What a dead process left there is replaced.
func (k *Keeper) prepare(path string, from io.Reader, o fileOwner) (string, error) {
	name := beside(path)
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	k.step("made " + filepath.Base(name))
	_, err = io.Copy(f, from)
	k.step("filled " + filepath.Base(name))
	if err == nil && (o.uid != os.Geteuid() || o.gid != os.Getegid()) {
		err = f.Chown(o.uid, o.gid) // before the mode, of which it takes bits away
	}
	if err == nil {
		err = errors.Join(f.Chmod(o.mode), f.Sync())
	}
	k.step("synced " + filepath.Base(name))
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(name))
	}
	return name, nil
}

// put makes a file have the bytes, whatever happens meanwhile: the old or the new, never a part. Where old is not nil the file must have had those bytes;
// a file that somebody else has written since is left as it is, with errChanged.
func (k *Keeper) put(path string, data, old []byte, o fileOwner) error {
	name, err := k.prepare(path, bytes.NewReader(data), o)
	if err != nil {
		return err
	}
	if old == nil {
		if err = os.Rename(name, path); err != nil {
			err = errors.Join(err, k.unlink(name))
		}
	} else {
		err = k.exchange(name, path, old)
	}
	if err != nil {
		return err
	}
	k.step("placed " + filepath.Base(path))
	return nodefs.SyncDir(filepath.Dir(path))
}

// exchange puts a prepared file in the place of one and proves that the one had the bytes that were expected: between a look at a file and a rename over it
// somebody else's whole file could be lost. File systems that cannot exchange leave that moment open.
func (k *Keeper) exchange(name, path string, old []byte) error {
	if err := same(path, old); err != nil {
		return errors.Join(err, k.unlink(name))
	}
	err := unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		err = os.Rename(name, path)
		if err == nil {
			return nil
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("put %s in the place of %s: %w", name, path, err), k.unlink(name))
	}
	k.step("exchanged " + filepath.Base(path))
	if err := same(name, old); err != nil {
		if back := unix.Renameat2(unix.AT_FDCWD, name, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE); back != nil {
			return fmt.Errorf("put back what was written meanwhile, which is in %s: %w", name, back)
		}
		return errors.Join(err, k.unlink(name))
	}
	return k.unlink(name)
}

// same says whether a file still has the bytes it was planned with.
func same(path string, want []byte) error {
	got, _, err := readRegular(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(got, want) {
		return fmt.Errorf("%s: %w", path, errChanged)
	}
	return err
}

// rename moves a file that must have the bytes it was planned with.
func (k *Keeper) rename(from, to string, want []byte) error {
	if err := same(from, want); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	k.step("renamed " + filepath.Base(from))
	return nodefs.SyncDir(filepath.Dir(to))
}

// unlink removes a file that may be gone already.
func (k *Keeper) unlink(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	k.step("removed " + filepath.Base(path))
	return nodefs.SyncDir(filepath.Dir(path))
}

// tidy removes what a dead process prepared and did not place. What cannot be removed harms nobody: no runtime reads it.
func tidy(dirs ...string) {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), besideSuffix) {
				_ = os.Remove(filepath.Join(dir, e.Name()))
			}
		}
	}
}
