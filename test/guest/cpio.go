package guest

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// archive writes an initramfs: the "newc" format of Documentation/driver-api/early-userspace/buffer-format.rst. Parents are made before what is in them.
type archive struct {
	w     *bufio.Writer
	inode int
	have  map[string]bool
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriter(w), have: map[string]bool{}}
}

const (
	modeDir  = 0o040000
	modeFile = 0o100000
	modeLink = 0o120000
)

func (a *archive) header(name string, mode, size int) {
	a.inode++
	links := 1
	fmt.Fprintf(a.w, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad(110 + len(name) + 1)
}

func (a *archive) pad(n int) {
	for ; n%4 != 0; n++ {
		a.w.WriteByte(0)
	}
}

// enter makes the directories above a name, and says whether the name itself is new.
func (a *archive) enter(name string) bool {
	if a.have[name] {
		return false
	}
	a.have[name] = true
	if dir := path.Dir(name); dir != "." && dir != "/" && a.enter(dir) {
		a.header(dir, modeDir|0o755, 0)
	}
	return true
}

// data adds a file by its content. Names have no leading slash.
func (a *archive) data(name string, mode int, data []byte) {
	if !a.enter(name) {
		return
	}
	a.header(name, modeFile|mode, len(data))
	a.w.Write(data)
	a.pad(len(data))
}

func (a *archive) link(name, target string) {
	if !a.enter(name) {
		return
	}
	a.header(name, modeLink|0o777, len(target))
	a.w.WriteString(target)
	a.pad(len(target))
}

func (a *archive) dir(name string) {
	if a.enter(name) {
		a.header(name, modeDir|0o755, 0)
	}
}

// file adds a file of this machine.
func (a *archive) file(name, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	a.data(name, 0o755, data)
	return nil
}

// tree adds the files of a directory of this machine that keep approves, by their path below it.
func (a *archive) tree(name, from string, keep func(path string) bool) error {
	root := os.DirFS(from)
	return fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !keep(p) {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(filepath.Join(from, p))
			a.link(path.Join(name, p), target)
			return err
		}
		data, err := fs.ReadFile(root, p)
		a.data(path.Join(name, p), 0o644, data)
		return err
	})
}

// close ends the archive. Errors of writing are kept by the writer until here.
func (a *archive) close() error {
	a.header("TRAILER!!!", 0, 0)
	return a.w.Flush()
}
