package checks_test

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/checks/internal/cases"
	"github.com/netmend/netmend/pkg/facts"
)

// everyKind asks for all facts, so that no check is skipped.
func everyKind() []facts.Kind { return append(facts.NamespaceKinds(), facts.NodeKinds()...) }

// runAll runs every check, also one that would be skipped, and names the one that panics.
func runAll(t testing.TB, list []*check.Check, s *facts.Snapshot, what string) {
	t.Helper()
	for _, c := range list {
		func() {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("%s panics on %s: %v", c.Name, what, r)
				}
			}()
			if c.NotApplicable != nil {
				c.NotApplicable(s)
			}
			c.Run(s)
		}()
	}
}

func TestTotalOnNothing(t *testing.T) {
	s := &facts.Snapshot{Schema: facts.Schema, Kinds: everyKind()}
	runAll(t, checks.All(), s, "an empty snapshot")
	runAll(t, checks.All(), &facts.Snapshot{}, "the zero snapshot")
	if r := check.Run(s, checks.All()); r.Count(check.Warning)+r.Count(check.Critical) > 0 {
		t.Errorf("findings in a snapshot that holds nothing: %v", r.Findings)
	}
}

// TestTotal spoils one field of each case at a time, in all elements of a list at once: nil groups, dangling indexes, zero prefixes, absurd values. A case
// is tried on its own check, a healthy node, which has every group, on all.
func TestTotal(t *testing.T) {
	for _, c := range checks.All() {
		for _, k := range load(t, c.Name) {
			testTotal(t, []*check.Check{c}, k)
		}
	}
	for _, k := range load(t, cases.Healthy) {
		testTotal(t, checks.All(), k)
	}
}

func testTotal(t *testing.T, list []*check.Check, k cases.Case) {
	t.Helper()
	s := k.Snapshot
	s.Kinds = everyKind()
	for _, path := range fields(reflect.TypeOf(*s), nil) {
		for variant := range 3 {
			undo := spoil(reflect.ValueOf(s).Elem(), path, variant)
			if len(undo) == 0 {
				break // the case has no such field
			}
			runAll(t, list, s, fmt.Sprintf("%s with field %v spoilt in way %d", k.Path, path, variant))
			for i := len(undo) - 1; i >= 0; i-- {
				undo[i]()
			}
		}
	}
}

// fields lists the paths of all fields below a struct type.
func fields(t reflect.Type, above []string) (out [][]string) {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.PkgPath() != reflect.TypeFor[facts.Snapshot]().PkgPath() {
		return nil
	}
	for i := range t.NumField() {
		path := append(append([]string{}, above...), t.Field(i).Name)
		out = append(append(out, path), fields(t.Field(i).Type, path)...)
	}
	return out
}

// spoil sets the field to a bad value everywhere and returns what takes it back.
func spoil(v reflect.Value, path []string, variant int) (undo []func()) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return spoil(v.Elem(), path, variant)
	case reflect.Slice:
		for i := range v.Len() {
			undo = append(undo, spoil(v.Index(i), path, variant)...)
		}
		return undo
	}
	f := v.FieldByName(path[0])
	if len(path) > 1 {
		return spoil(f, path[1:], variant)
	}
	old := reflect.New(f.Type()).Elem()
	old.Set(f)
	f.Set(bad(f, variant))
	return []func(){func() { f.Set(old) }}
}

func bad(f reflect.Value, variant int) reflect.Value {
	b := reflect.New(f.Type()).Elem() // the zero value: nil, 0, "", the zero Prefix
	switch {
	case variant == 0:
	case f.CanInt():
		b.SetInt([]int64{-1, 1<<31 - 1}[variant-1])
	case f.CanUint():
		b.SetUint(^uint64(0) >> (64 - f.Type().Bits()))
	case f.CanFloat():
		b.SetFloat(1e300)
	case f.Kind() == reflect.Bool:
		b.SetBool(!f.Bool())
	case f.Kind() == reflect.String:
		b.SetString([]string{"\x00%s/!:", "0/0/0:999999999999999999999"}[variant-1])
	case f.Kind() == reflect.Slice && variant == 1:
		b.Set(reflect.AppendSlice(reflect.AppendSlice(b, f), f)) // everything twice
	case f.Kind() == reflect.Slice:
		b.Set(reflect.MakeSlice(f.Type(), 2, 2)) // zero elements
	case f.Kind() == reflect.Pointer:
		b.Set(reflect.New(f.Type().Elem()))
	}
	return b
}

// FuzzChecks holds that no document that passes for a snapshot makes a check panic.
func FuzzChecks(f *testing.F) {
	for _, k := range everyCase(f) {
		data, err := os.ReadFile(k.Path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := facts.Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		s.Kinds = everyKind()
		runAll(t, checks.All(), s, "this document")
	})
}
