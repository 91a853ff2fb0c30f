package main

import (
	"fmt"
	"os"
)

// stage is the lab's test for a program that is none: a failure ends it, and what was built goes away in any case.
type stage struct {
	cleanups []func()
	failed   bool
}

// failure ends the play.
type failure struct{}

func (s *stage) Helper()             {}
func (s *stage) Logf(string, ...any) {}
func (s *stage) Cleanup(f func())    { s.cleanups = append(s.cleanups, f) }
func (s *stage) Errorf(f string, arg ...any) {
	s.failed = true
	fmt.Fprintf(os.Stderr, "demo: "+f+"\n", arg...)
}
func (s *stage) Fatalf(f string, arg ...any) { s.Errorf(f, arg...); panic(failure{}) }

func (s *stage) TempDir() string {
	dir, err := os.MkdirTemp("", "netmend-demo-")
	if err != nil {
		s.Fatalf("%v", err)
	}
	s.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// run plays, cleans up, and says whether all went well.
func (s *stage) run(play func()) (ok bool) {
	defer func() {
		for len(s.cleanups) > 0 {
			last := len(s.cleanups) - 1
			f := s.cleanups[last]
			s.cleanups = s.cleanups[:last]
			f()
		}
		if r := recover(); r != nil {
			if _, expected := r.(failure); !expected {
				panic(r)
			}
		}
		ok = !s.failed
	}()
	play()
	return !s.failed
}
