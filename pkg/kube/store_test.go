package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// thing is what a store holds here: its place is by place, its identity is its name.
type thing struct{ place, name, value string }

func newThings(told *[]string) *store[thing] {
	return &store[thing]{
		order: func(a, b *thing) int { return strings.Compare(a.place+"/"+a.name, b.place+"/"+b.name) },
		same:  func(a, b *thing) bool { return a.name == b.name },
		changed: func(was, is *thing) {
			switch {
			case was == nil:
				*told = append(*told, "+"+is.name)
			case is == nil:
				*told = append(*told, "-"+was.name)
			default:
				*told = append(*told, "~"+is.name)
			}
		},
	}
}

func TestStore(t *testing.T) {
	var told []string
	s := newThings(&told)
	list := func(all ...thing) {
		s.begin()
		for _, x := range all {
			s.put(x)
		}
		s.end()
	}
	check := func(what string, want []thing, changes ...string) {
		t.Helper()
		if d := cmp.Diff(want, s.hand(), cmp.AllowUnexported(thing{})); d != "" {
			t.Errorf("%s: the list (-want +got):\n%s", what, d)
		}
		if strings.Join(told, " ") != strings.Join(changes, " ") {
			t.Errorf("%s: changes %q; want %q", what, told, changes)
		}
		told = nil
	}
	a, b, c := thing{"1", "a", "x"}, thing{"2", "b", "x"}, thing{"3", "c", "x"}
	list(b, a)
	check("the first list, in which nothing is a change", []thing{a, b})
	before := s.hand()
	if s.put(a) || !s.put(c) || !s.remove(thing{name: "b"}) || s.remove(thing{name: "b"}) {
		t.Error("what has changed is not told")
	}
	check("one more and one less", []thing{a, c}, "+c", "-b")
	if d := cmp.Diff([]thing{a, b}, before, cmp.AllowUnexported(thing{})); d != "" {
		t.Errorf("a list that was handed out has changed (-want +got):\n%s", d)
	}
	moved := thing{"9", "a", "x"}
	s.put(moved)
	check("one that has another place", []thing{c, moved}, "-a", "+a")
	s.begin()
	s.put(b)
	check("a list that is not whole", []thing{c, moved})
	s.put(thing{"3", "c", "y"})
	s.put(thing{"3", "c", "z"})
	s.end()
	check("another list, in which one was there twice", []thing{b, {"3", "c", "z"}}, "+b", "~c", "-a")
}
