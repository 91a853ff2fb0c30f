package kube

import (
	"reflect"
	"slices"
)

// store holds the objects of one list, in an order by their names. A list that was handed out is never changed: it is copied before. The zero value needs order
// and same.
type store[T any] struct {
	order   func(a, b *T) int
	same    func(a, b *T) bool // they are the same object, even if its place in the order has changed
	changed func(was, is *T)   // either is nil where there was, or is, none; not called for an object of which nothing that is kept has changed. May be nil.

	list   []T
	shared bool
	fresh  []T  // while a list is read
	begun  bool // one is
	whole  bool // one was read
}

func (s *store[T]) begin() { s.fresh, s.begun = nil, true }

// end puts the list that was read in the place of the one before. An object that has not changed stays where it is in memory.
func (s *store[T]) end() {
	fresh := s.fresh
	slices.SortStableFunc(fresh, func(a, b T) int { return s.order(&a, &b) })
	out := fresh[:0]
	for i := range fresh {
		if n := len(out); n > 0 && s.order(&out[n-1], &fresh[i]) == 0 {
			out[n-1] = fresh[i] // it changed between two pages
			continue
		}
		out = append(out, fresh[i])
	}
	old := s.list
	for i, j := 0, 0; i < len(old) || j < len(out); {
		switch {
		case j == len(out) || i < len(old) && s.order(&old[i], &out[j]) < 0:
			s.tell(&old[i], nil)
			i++
		case i == len(old) || s.order(&old[i], &out[j]) > 0:
			s.tell(nil, &out[j])
			j++
		default:
			if reflect.DeepEqual(old[i], out[j]) {
				out[j] = old[i]
			} else {
				s.tell(&old[i], &out[j])
			}
			i++
			j++
		}
	}
	s.list, s.shared, s.fresh, s.begun, s.whole = out, false, nil, false, true
}

// tell is silent about the first list: then everything is new.
func (s *store[T]) tell(was, is *T) {
	if s.whole && s.changed != nil {
		s.changed(was, is)
	}
}

// put adds an object or replaces it, and says whether anything has changed.
func (s *store[T]) put(v T) (changed bool) {
	if s.begun {
		s.fresh = append(s.fresh, v)
		return false
	}
	i, found := s.find(&v)
	if found {
		if reflect.DeepEqual(s.list[i], v) {
			return false
		}
		was := s.list[i]
		s.own()
		s.list[i] = v
		s.tell(&was, &v)
		return true
	}
	if j := slices.IndexFunc(s.list, func(o T) bool { return s.same(&o, &v) }); j >= 0 { // it has another place now
		s.drop(j)
		i, _ = s.find(&v)
	}
	s.own()
	s.list = slices.Insert(s.list, i, v)
	s.tell(nil, &v)
	return true
}

// remove takes an object away that is like v as far as its name goes.
func (s *store[T]) remove(v T) (changed bool) {
	if s.begun {
		s.fresh = slices.DeleteFunc(s.fresh, func(o T) bool { return s.same(&o, &v) })
		return false
	}
	i, found := s.find(&v)
	if !found {
		i = slices.IndexFunc(s.list, func(o T) bool { return s.same(&o, &v) })
	}
	if i < 0 {
		return false
	}
	s.drop(i)
	return true
}

func (s *store[T]) drop(i int) {
	was := s.list[i]
	s.own()
	s.list = slices.Delete(s.list, i, i+1)
	s.tell(&was, nil)
}

func (s *store[T]) find(v *T) (int, bool) {
	return slices.BinarySearchFunc(s.list, v, func(a T, b *T) int { return s.order(&a, b) })
}

// own makes the list one's own before it is changed.
func (s *store[T]) own() {
	if s.shared {
		s.list, s.shared = slices.Clone(s.list), false
	}
}

// hand gives the list, which must not be changed.
func (s *store[T]) hand() []T {
	s.shared = true
	return slices.Clip(s.list)
}
