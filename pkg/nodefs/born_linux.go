package nodefs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Born is when a file was made. The error is errors.ErrUnsupported where the file system does not remember (statx(2), STATX_BTIME).
func Born(path string) (time.Time, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BTIME, &st); err != nil {
		return time.Time{}, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Mask&unix.STATX_BTIME == 0 {
		return time.Time{}, &fs.PathError{Op: "statx", Path: path, Err: errors.ErrUnsupported}
	}
	return time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)), nil
}

// RemoveYounger removes a directory of the node whose root is at root if it is empty and was not made before that time, and then its parents likewise. It gives
// the paths that it has removed, below the root. What is not there, not empty or older stays, and so does what is a mount.
func RemoveYounger(root, path string, than time.Time) (removed []string, err error) {
	for path = filepath.Clean(path); path != "/" && path != "."; path = filepath.Dir(path) {
		at, err := Real(root, path)
		if err != nil {
			return removed, err
		}
		born, err := Born(at)
		if err != nil || born.Before(than) {
			return removed, ignoreAbsent(err)
		}
		switch err := unix.Rmdir(at); {
		case errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EEXIST), errors.Is(err, unix.EBUSY), errors.Is(err, unix.ENOTDIR):
			return removed, nil
		case err != nil:
			return removed, &fs.PathError{Op: "rmdir", Path: at, Err: err}
		}
		removed = append(removed, path)
	}
	return removed, nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}
