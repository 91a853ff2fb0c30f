package archtest

import (
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

const (
	maxLines     = 300 // of a file that people write; more is two things
	maxMainLines = 20  // of func main: it wires and exits, so that everything else can be tested
)

func TestNoInit(t *testing.T) {
	eachFunc(t, func(t *testing.T, p *packages.Package, f *ast.FuncDecl) {
		if f.Recv == nil && f.Name.Name == "init" {
			t.Errorf("%s: func init: what happens at start-up is called from main, where it can be seen and ordered", where(p, f))
		}
	})
}

func TestMainIsShort(t *testing.T) {
	eachFunc(t, func(t *testing.T, p *packages.Package, f *ast.FuncDecl) {
		if p.Name != "main" || f.Recv != nil || f.Name.Name != "main" {
			return
		}
		if n := p.Fset.Position(f.End()).Line - p.Fset.Position(f.Pos()).Line + 1; n > maxMainLines {
			t.Errorf("%s: main has %d lines, more than %d: move what it does to a function that a test can call", where(p, f), n, maxMainLines)
		}
	})
}

func TestFilesAreShort(t *testing.T) {
	for _, p := range pkgs(t) {
		for _, f := range p.Syntax {
			if n := p.Fset.File(f.FileStart).LineCount(); n > maxLines && !ast.IsGenerated(f) {
				t.Errorf("%s has %d lines, more than %d: it holds more than one thing", where(p, f), n, maxLines)
			}
		}
	}
}

func TestPackagesAreDocumented(t *testing.T) {
	for _, p := range pkgs(t) {
		if !slices.ContainsFunc(p.Syntax, func(f *ast.File) bool { return f.Doc != nil }) {
			t.Errorf("%s has no package comment: say what it is for and what it never does", p.PkgPath)
		}
	}
}

func TestNoCatchAllPackages(t *testing.T) {
	vague := []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base"}
	for _, p := range pkgs(t) {
		if slices.Contains(vague, path.Base(p.PkgPath)) || slices.Contains(vague, p.Name) {
			t.Errorf("%s: a package is named for what it does, not for where it is used", p.PkgPath)
		}
	}
}

// TestNoClock holds what judges to facts: a verdict that depends on when it is asked cannot be repeated from a snapshot.
func TestNoClock(t *testing.T) {
	for _, p := range pkgs(t) {
		if r := roomOf(below(p.PkgPath)); r == nil || !slices.Contains([]string{"pkg/facts", "pkg/fix", "pkg/check", "pkg/checks"}, r.path) {
			continue
		}
		for id, obj := range p.TypesInfo.Uses {
			if obj.Pkg() != nil && obj.Pkg().Path() == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Sleep", "Tick"}, obj.Name()) &&
				obj.Parent() == obj.Pkg().Scope() {
				t.Errorf("%s: time.%s: %s", p.Fset.Position(id.Pos()), obj.Name(), whyPure)
			}
		}
	}
}

// TestNoChangedPackageVariables finds assignments to package variables. What a program changes is a field of a value that somebody owns.
func TestNoChangedPackageVariables(t *testing.T) {
	eachFunc(t, func(t *testing.T, p *packages.Package, f *ast.FuncDecl) {
		ast.Inspect(f, func(n ast.Node) bool {
			for _, target := range assigned(n) {
				if v := packageVariable(p, target); v != nil {
					t.Errorf("%s: package variable %s is changed: make it a field", where(p, n), v.Name())
				}
			}
			return true
		})
	})
}

// assigned gives the expressions that a statement writes to.
func assigned(n ast.Node) []ast.Expr {
	switch s := n.(type) {
	case *ast.AssignStmt:
		if s.Tok != token.DEFINE {
			return s.Lhs
		}
	case *ast.IncDecStmt:
		return []ast.Expr{s.X}
	case *ast.RangeStmt:
		if s.Tok == token.ASSIGN {
			return []ast.Expr{s.Key, s.Value}
		}
	}
	return nil
}

// packageVariable finds the package-level variable at the root of an expression like v, v[i], v.f and *v; nil where there is none.
func packageVariable(p *packages.Package, e ast.Expr) *types.Var {
	switch x := e.(type) {
	case *ast.IndexExpr:
		return packageVariable(p, x.X)
	case *ast.StarExpr:
		return packageVariable(p, x.X)
	case *ast.ParenExpr:
		return packageVariable(p, x.X)
	case *ast.SelectorExpr:
		if v := packageVariable(p, x.Sel); v != nil {
			return v
		}
		return packageVariable(p, x.X)
	case *ast.Ident:
		if v, ok := p.TypesInfo.Uses[x].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
			return v
		}
	}
	return nil
}

// eachFunc calls fn for every function that people wrote.
func eachFunc(t *testing.T, fn func(*testing.T, *packages.Package, *ast.FuncDecl)) {
	for _, p := range pkgs(t) {
		for _, f := range p.Syntax {
			if ast.IsGenerated(f) {
				continue
			}
			for _, d := range f.Decls {
				if f, ok := d.(*ast.FuncDecl); ok {
					fn(t, p, f)
				}
			}
		}
	}
}

// where is a node's place as a person would look it up.
func where(p *packages.Package, n ast.Node) string {
	pos := p.Fset.Position(n.Pos())
	_, name, ok := strings.Cut(pos.String(), below(p.PkgPath)+"/")
	if !ok {
		return pos.String()
	}
	return below(p.PkgPath) + "/" + name
}
