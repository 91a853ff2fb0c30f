package repair

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/netmend/netmend/pkg/nodefs"
)

// BootDir is the boot files of a node, by its root: etc/sysctl.d/99-netmend.conf, etc/modules-load.d/netmend.conf and etc/udev/rules.d/90-netmend.rules.
type BootDir string

var bootNames = map[BootFile]string{
	SysctlFile: "etc/sysctl.d/99-netmend.conf",
	ModuleFile: "etc/modules-load.d/netmend.conf",
	UdevFile:   "etc/udev/rules.d/90-netmend.rules",
}

const (
	bootHead = "# Written by netmend. \"netmendctl undo\" takes a line out again, and the one above it.\n"
	bootMark = "# netmend fix "
)

// Path is where a file is.
func (d BootDir) Path(f BootFile) string { return filepath.Join(string(d), bootNames[f]) }

// Write replaces a file as a whole, and only where something changes. A file in which nobody has a line is removed; a directory that is missing is made.
func (d BootDir) Write(lines []BootLine) error {
	var failed error
	for f := range BootFile(len(bootNames)) {
		var own []BootLine
		for _, l := range lines {
			if l.File == f {
				own = append(own, l)
			}
		}
		if err := d.write(f, own); err != nil {
			failed = errors.Join(failed, fmt.Errorf("write %s: %w", d.Path(f), err))
		}
	}
	return failed
}

func (d BootDir) write(f BootFile, own []BootLine) error {
	path := d.Path(f)
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	content := bootContent(old, own)
	switch {
	case bytes.Equal(content, old):
		return nil
	case content == nil:
		if err := os.Remove(path); err != nil {
			return err
		}
		return nodefs.SyncDir(filepath.Dir(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replaceFile(path, content, 0o644)
}

// bootContent is the old content with netmend's lines replaced; nil where nothing is left. A line of two fixes is there once, for the first.
func bootContent(old []byte, own []BootLine) []byte {
	var foreign []string
	skip := false
	for line := range strings.Lines(string(old)) {
		switch {
		case skip:
			skip = false
		case strings.HasPrefix(line, bootMark):
			skip = true
		case line != bootHead:
			foreign = append(foreign, line)
		}
	}
	if len(own) == 0 && len(foreign) == 0 {
		return nil
	}
	var b bytes.Buffer
	seen := map[string]bool{}
	if len(own) > 0 {
		b.WriteString(bootHead)
	}
	for _, l := range own {
		if !seen[l.Text] {
			seen[l.Text] = true
			fmt.Fprintf(&b, "%s%d\n%s\n", bootMark, l.Fix, l.Text)
		}
	}
	for _, line := range foreign {
		b.WriteString(line)
	}
	return b.Bytes()
}
