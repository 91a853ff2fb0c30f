package archtest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

func TestEveryPackageHasARoom(t *testing.T) {
	for _, p := range pkgs(t) {
		if roomOf(below(p.PkgPath)) == nil {
			t.Errorf("%s is in no room: add a line, with what it may import and why, to the table of this test and of the architecture document", p.PkgPath)
		}
	}
}

func TestImports(t *testing.T) {
	for _, p := range pkgs(t) {
		from := below(p.PkgPath)
		r := roomOf(from)
		if r == nil {
			continue // told by TestEveryPackageHasARoom
		}
		for _, path := range slices.Sorted(maps.Keys(p.Imports)) {
			if why := refuse(from, r, path); why != "" {
				t.Errorf("%s imports %s: %s", from, path, why)
			}
		}
	}
}

func TestBans(t *testing.T) {
	for _, p := range pkgs(t) {
		for _, b := range bans {
			if !b.holds(below(p.PkgPath)) {
				continue
			}
			if way := find(p, b, map[string]bool{}); way != nil {
				t.Errorf("%s must not import %s: %s (by way of %s)", below(p.PkgPath), b.path, b.why, strings.Join(way, " -> "))
			}
		}
	}
}

func TestRefuse(t *testing.T) {
	for _, tt := range []struct {
		name, from, path string
		refused          bool
	}{
		{"standard library", "pkg/facts", "net/netip", false},
		{"down", "pkg/checks", module + "/pkg/facts", false},
		{"own room", "pkg/checks", module + "/pkg/checks/internal/x", false},
		{"up", "pkg/facts", module + "/pkg/check", true},
		{"sideways", "pkg/check", module + "/pkg/collect", true},
		{"down but not listed", "pkg/checks", module + "/pkg/host", true},
		{"someone else's module", "pkg/facts", "golang.org/x/sys/unix", true},
		{"someone else's module, listed", "pkg/host", "golang.org/x/sys/unix", false},
		{"all of lower floors", "cmd/netmendctl", module + "/pkg/repair", false},
		{"tests", "cmd/netmendctl", module + "/test/e2e/lab", true},
		{"a room nobody has declared", "cmd/netmendctl", module + "/pkg/unheard", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := refuse(tt.from, roomOf(tt.from), tt.path); (got != "") != tt.refused {
				t.Errorf("refuse(%s, %s) = %q; want refused %v", tt.from, tt.path, got, tt.refused)
			}
		})
	}
}

// roomOf finds the room of a package by its path below the module; nil where there is none.
func roomOf(path string) *room {
	var best *room
	for i := range rooms {
		if within(path, rooms[i].path) && (best == nil || len(rooms[i].path) > len(best.path)) {
			best = &rooms[i]
		}
	}
	return best
}

// refuse says why a package of a room may not import a path; empty where it may.
func refuse(from string, r *room, path string) string {
	if strings.HasPrefix(path, module) {
		return refuseOwn(from, r, below(path))
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") || allowed(r.third, path) || allowed(exceptions[from], path) {
		return ""
	}
	return "no module of others but " + list(r.third) + " in " + r.path + ": " + r.why
}

func refuseOwn(from string, r *room, path string) string {
	to := roomOf(path)
	switch {
	case to == nil:
		return "it is in no room"
	case to == r, allowed(exceptions[from], path):
		return ""
	case to.floor >= r.floor:
		return "imports run down only, and " + to.path + " is not below " + r.path + ": " + r.why
	case allowed(r.may, path):
		return ""
	}
	return r.path + " may import " + list(r.may) + " only: " + r.why
}

func allowed(trees []string, path string) bool {
	return slices.ContainsFunc(trees, func(tree string) bool { return tree == "*" || within(path, tree) })
}

func list(trees []string) string {
	if len(trees) == 0 {
		return "none"
	}
	return strings.Join(trees, ", ")
}

// holds says whether the ban is for a package, by its path below the module.
func (b ban) holds(path string) bool {
	in := func(tree string) bool { return within(path, tree) }
	return (len(b.rooms) == 0 || slices.ContainsFunc(b.rooms, in)) && !slices.ContainsFunc(b.but, in) && exceptions[path] == nil
}

// find gives the way from a package to what is banned; nil where there is none.
func find(p *packages.Package, b ban, seen map[string]bool) []string {
	for _, path := range slices.Sorted(maps.Keys(p.Imports)) {
		if within(path, b.path) {
			return []string{p.PkgPath, path}
		}
		if next := p.Imports[path]; b.deep && !seen[path] {
			seen[path] = true
			if way := find(next, b, seen); way != nil {
				return append([]string{p.PkgPath}, way...)
			}
		}
	}
	return nil
}
