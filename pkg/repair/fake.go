package repair

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// Fake is a kernel in memory that keeps the real one's rules: an object has one number and one name, a sysctl of several numbers is printed with tabs,
// forwarding of a namespace is copied to its links and changes accept_redirects, and a value may be taken otherwise than it was written.
type Fake struct {
	Boot   string
	NetNS  uint64
	Links  map[string]int                 // name to index
	Values map[fix.Knob]map[string]string // by knob and, for a link's knob, its name
	Takes  map[fix.Knob]string            // what the kernel makes of any value written
	Fail   func(op string, s Step) error  // asked before "get" and "set"; may be nil
	Sets   int                            // writes so far
}

// Prepare finds the object.
func (f *Fake) Prepare(c fix.Change) (Step, error) {
	s := Step{Change: c, NetNS: c.On.NetNS, Persist: lasting(c)}
	_, err := f.find(s)
	if c.Knob == fix.Sysctl("net/ipv4/ip_forward") {
		s.Beside = map[string]string{}
		for k, v := range f.Values {
			if family, path := k.Split(); family == fix.FamilySysctl && resetByForward(path) {
				s.Beside[path] = v[""]
			}
		}
	}
	return s, err
}

func resetByForward(path string) bool {
	return path == "net/ipv4/conf/all/accept_redirects" || strings.HasPrefix(path, "net/ipv4/conf/") && strings.HasSuffix(path, "/forwarding")
}

// find gives the values of the step's knob and the key of its object among them.
func (f *Fake) find(s Step) (string, error) {
	on, key := s.Change.On, ""
	if s.NetNS != 0 && s.NetNS != f.NetNS {
		return "", fmt.Errorf("%w: network namespace %d", host.ErrGone, s.NetNS)
	}
	family, _ := s.Change.Knob.Split()
	if on.Index != 0 || family == fix.FamilyEthtool {
		index, ok := f.Links[on.Name]
		if !ok || on.Index != 0 && on.Index != index {
			return "", fmt.Errorf("%w: link %d %s", host.ErrGone, on.Index, on.Name)
		}
	}
	if family == fix.FamilyEthtool || s.Change.Knob == fix.LinkMTU || s.Change.Knob == fix.Hairpin {
		key = on.Name
	}
	if _, ok := f.Values[s.Change.Knob][key]; !ok {
		return "", fmt.Errorf("%w: %s", host.ErrGone, s.Change.Knob)
	}
	return key, nil
}

// BootID is the fake's Boot.
func (f *Fake) BootID() string { return f.Boot }

// Get reads a value.
func (f *Fake) Get(s Step) (string, error) {
	if err := f.fail("get", s); err != nil {
		return "", err
	}
	key, err := f.find(s)
	return f.Values[s.Change.Knob][key], err
}

// Set writes a value and reads it back.
func (f *Fake) Set(s Step, from, to string) error {
	if err := f.fail("set", s); err != nil {
		return err
	}
	key, err := f.find(s)
	if err != nil {
		return err
	}
	family, path := s.Change.Knob.Split()
	old := f.Values[s.Change.Knob][key]
	if family == fix.FamilyIPAM && old != from {
		return fix.ErrPrecondition
	}
	f.Sets++
	took := to
	if v, ok := f.Takes[s.Change.Knob]; ok {
		took = v
	}
	if family == fix.FamilySysctl {
		took = strings.Join(strings.Fields(took), "\t")
	}
	f.Values[s.Change.Knob][key] = took
	if path == "net/ipv4/ip_forward" && old != took {
		f.forward(took)
	}
	if got, err := f.Get(s); err != nil || !fix.SameValue(s.Change.Knob, got, to) {
		return errors.Join(fmt.Errorf("%w: it is %q", host.ErrNotTaken, got), err)
	}
	return nil
}

func (f *Fake) forward(to string) {
	for k, v := range f.Values {
		if family, path := k.Split(); family == fix.FamilySysctl && resetByForward(path) {
			v[""] = to
		}
	}
	if v := f.Values[fix.Sysctl("net/ipv4/conf/all/accept_redirects")]; v != nil {
		v[""] = map[string]string{"0": "1", "1": "0"}[to]
	}
}

func (f *Fake) fail(op string, s Step) error {
	if f.Fail == nil {
		return nil
	}
	return f.Fail(op, s)
}

// Copy is the fake's values, for comparison.
func (f *Fake) Copy() map[fix.Knob]map[string]string {
	c := map[fix.Knob]map[string]string{}
	for k, v := range f.Values {
		c[k] = maps.Clone(v)
	}
	return c
}

// Ref names a link of the fake, or its node for an empty name.
func (f *Fake) Ref(name string) facts.Ref {
	if name == "" {
		return facts.Ref{NetNS: f.NetNS, Name: "node"}
	}
	return facts.Ref{NetNS: f.NetNS, Index: f.Links[name], Name: name}
}

// FakeStore is a journal in memory on a disk that can be full, or read-only.
type FakeStore struct {
	Data        []byte
	Quarantined []byte
	Room        int  // bytes that still fit; negative: as many as there are
	ReadOnly    bool // then every write is EROFS
	Appends     int
}

// NewFakeStore has all the room there is.
func NewFakeStore(data []byte) *FakeStore { return &FakeStore{Data: data, Room: -1} }

// Load gives a copy.
func (s *FakeStore) Load() ([]byte, error) { return append([]byte(nil), s.Data...), nil }

// Cut forgets the rest.
func (s *FakeStore) Cut(size int) { s.Data = s.Data[:size] }

// Append writes all or nothing.
func (s *FakeStore) Append(data []byte) error {
	switch {
	case s.ReadOnly:
		return fmt.Errorf("append to journal: %w", unix.EROFS)
	case s.Room >= 0 && len(data) > s.Room:
		return fmt.Errorf("append to journal: %w", unix.ENOSPC)
	case s.Room >= 0:
		s.Room -= len(data)
	}
	s.Data = append(s.Data, data...)
	s.Appends++
	return nil
}

// Replace writes all or nothing.
func (s *FakeStore) Replace(data []byte) error {
	if s.ReadOnly {
		return fmt.Errorf("compact journal: %w", unix.EROFS)
	}
	s.Data = append([]byte(nil), data...)
	return nil
}

// Quarantine keeps a copy.
func (s *FakeStore) Quarantine(data []byte) error {
	s.Quarantined = append(s.Quarantined, data...)
	return nil
}

// Close does nothing.
func (s *FakeStore) Close() error { return nil }

// FakeClock stands still but for sleepers.
type FakeClock struct{ T time.Time }

// Now is the clock's time.
func (c *FakeClock) Now() time.Time { return c.T }

// Sleep lets the time pass at once.
func (c *FakeClock) Sleep(_ context.Context, d time.Duration) error {
	c.T = c.T.Add(d)
	return nil
}
