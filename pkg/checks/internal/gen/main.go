// Command gen writes what follows from the checks: the list pkg/checks/zall.go, a page docs/checks/<name>.md for each and
// for each check of clusters, and the tables in README.md and docs/cluster.md.
// It runs in the root of the repository; `make gen` calls it.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	if err := run(".", os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run writes what is stale below root. Where that includes the list, pages can only be made by a program that is compiled with the new one.
func run(root string, out io.Writer) error {
	list, err := listFile(root)
	if err != nil {
		return err
	}
	changed, err := write(root, list, out)
	if err != nil {
		return err
	}
	if changed {
		again := exec.Command("go", "run", "./pkg/checks/internal/gen")
		again.Dir, again.Stdout, again.Stderr = root, out, os.Stderr
		return again.Run()
	}
	files, err := documents(root)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, err := write(root, f, out); err != nil {
			return err
		}
	}
	return nil
}

// file is one generated file: its path below the root, and what it must hold.
type file struct {
	path string
	data []byte
}

// stale says whether the file on disk is another.
func (f file) stale(root string) bool {
	old, err := os.ReadFile(filepath.Join(root, f.path))
	return err != nil || string(old) != string(f.data)
}

// write writes a stale file and says so to out.
func write(root string, f file, out io.Writer) (changed bool, err error) {
	if !f.stale(root) {
		return false, nil
	}
	path := filepath.Join(root, f.path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, fmt.Errorf("write %s: %w", f.path, err)
	}
	if err := os.WriteFile(path, f.data, 0o644); err != nil {
		return false, fmt.Errorf("write %s: %w", f.path, err)
	}
	_, err = fmt.Fprintln(out, "wrote", f.path)
	return true, err
}
