package archtest

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/tools/go/packages"
)

const module = "github.com/netmend/netmend"

// root is the repository as seen from this package's directory, in which its tests run.
var root = filepath.Join("..", "..")

// load reads every package of the module with its syntax and types, and the import graph below them, once. Linux is the system that all
// of it is written for; test files are not part of it.
var load = sync.OnceValues(func() ([]*packages.Package, error) {
	return packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedImports | packages.NeedDeps | packages.NeedModule |
			packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir: root,
	}, "./...")
})

// pkgs are the module's packages. A package that does not compile fails the test: nothing could be said about it.
func pkgs(t *testing.T) []*packages.Package {
	t.Helper()
	all, err := load()
	if err != nil {
		t.Fatalf("load the module's packages: %v", err)
	}
	var own []*packages.Package
	for _, p := range all {
		for _, e := range p.Errors {
			t.Fatalf("%s: %v", p.PkgPath, e)
		}
		if len(p.GoFiles) > 0 { // else it has tests only
			own = append(own, p)
		}
	}
	if len(own) == 0 {
		t.Fatal("the module has no package")
	}
	return own
}

// below gives a package's path below the module: "pkg/facts".
func below(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// within says whether a path is a tree's root or below it.
func within(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }
