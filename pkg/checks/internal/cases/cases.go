// Package cases reads the snapshots below pkg/checks/testdata, which are at once the tests of the checks and the examples on their pages.
package cases

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// The sorts of cases, by which their file names start.
const (
	Fires  = "fires"
	Clean  = "clean"
	Almost = "clean-almost" // a clean case too
)

// Healthy is the folder of whole nodes on which no check may find a warning. It is not the name of a check.
const Healthy = "healthy"

// Case is one snapshot with what it shows.
type Case struct {
	Name     string // file name without extension
	Path     string // of the JSON document
	Snapshot *facts.Snapshot
}

// Is says whether the case is of a sort.
func (c Case) Is(sort string) bool { return strings.HasPrefix(c.Name, sort+"-") }

// Golden is the path of the findings that a firing case must give.
func (c Case) Golden() string { return strings.TrimSuffix(c.Path, ".json") + ".txt" }

// Folders lists the folders below testdata.
func Folders(testdata string) ([]string, error) {
	entries, err := os.ReadDir(testdata)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() && e.Name() != "fuzz" { // where go test keeps inputs that once failed
			out = append(out, e.Name())
		}
	}
	return out, nil
}

// Load reads the cases of one folder in the order of their names. A file that is neither a case nor the golden file of a firing one is an error.
func Load(testdata, folder string) ([]Case, error) {
	dir := filepath.Join(testdata, folder)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	var out []Case
	var golden []string
	for _, e := range entries {
		c := Case{Path: filepath.Join(dir, e.Name())}
		switch filepath.Ext(e.Name()) {
		case ".txt":
			golden = append(golden, c.Path)
			continue
		case ".json":
			c.Name = strings.TrimSuffix(e.Name(), ".json")
		}
		if folder != Healthy && !c.Is(Fires) && !c.Is(Clean) {
			return nil, fmt.Errorf("read cases: %s: neither %s-*.json, %s-*.json nor a golden file", c.Path, Fires, Clean)
		}
		if c.Snapshot, err = decode(c.Path); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	for _, g := range golden {
		if !slices.ContainsFunc(out, func(c Case) bool { return c.Is(Fires) && c.Golden() == g }) {
			return nil, fmt.Errorf("read cases: %s: no firing case next to it", g)
		}
	}
	return out, nil
}

func decode(path string) (*facts.Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read case: %w", err)
	}
	defer f.Close()
	s, err := facts.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("read case %s: %w", path, err)
	}
	return s, nil
}
