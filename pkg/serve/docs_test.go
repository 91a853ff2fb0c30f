package serve

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/netmend/netmend/pkg/facts"
)

// TestDocs holds that the page tells every metric and every condition.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/daemon.md")
	if err != nil {
		t.Fatal(err)
	}
	board := &Board{}
	board.Publish(state(nil))
	m := NewMetrics(board, Build{Version: "v1", Checks: sample()})
	m.Fixed("hairpin", FixVerified)
	m.Unread(facts.KindLinks)
	m.request("ADD", "warn", 1)
	m.asked.WithLabelValues("status").Inc()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "netmend_") {
			told++
			if !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("docs/daemon.md does not tell the metric %s", name)
			}
		}
	}
	if told < 15 {
		t.Errorf("%d metrics; want all", told)
	}
	for _, name := range conditions(t) {
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/daemon.md does not tell the condition %s", name)
		}
	}
}

// conditions are the names of conditions in package status: the constants before the type Condition that have no type.
func conditions(t *testing.T) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../status/status.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			value, ok := v.Values[0].(*ast.BasicLit)
			if word := v.Names[0].Name; ok && v.Type == nil && word != "APIVersion" && word != "Kind" {
				names = append(names, strings.Trim(value.Value, `"`))
			}
		}
	}
	if len(names) < 10 {
		t.Fatalf("conditions: %q", names)
	}
	return names
}
