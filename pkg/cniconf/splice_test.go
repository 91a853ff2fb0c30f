package cniconf

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/containernetworking/cni/libcni"
	"github.com/google/go-cmp/cmp"
)

var plain = json.RawMessage(`{"type":"netmend"}`)

func TestInsertKeepsTheFormatting(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"one line", `{"name":"n","plugins":[{"type":"a"}]}`, `{"name":"n","plugins":[{"type":"a"},{"type":"netmend"}]}`},
		{"one line with spaces", `{"name": "n", "plugins": [ {"type": "a"} ]}`, `{"name": "n", "plugins": [ {"type": "a"}, {"type": "netmend"} ]}`},
		{"two spaces", "{\n  \"name\": \"n\",\n  \"plugins\": [\n    {\n      \"type\": \"a\"\n    }\n  ]\n}\n",
			"{\n  \"name\": \"n\",\n  \"plugins\": [\n    {\n      \"type\": \"a\"\n    },\n    {\n      \"type\": \"netmend\"\n    }\n  ]\n}\n"},
		{"tabs, bracket and brace on one line", "{\"name\":\"n\",\n\t\"plugins\": [{\n\t\t\"type\": \"a\"\n\t}]\n}",
			"{\"name\":\"n\",\n\t\"plugins\": [{\n\t\t\"type\": \"a\"\n\t},{\n\t\t\"type\": \"netmend\"\n\t}]\n}"},
		{"line ends of Windows", "{\"name\":\"n\",\"plugins\":[\r\n {\r\n  \"type\":\"a\"\r\n }\r\n]}",
			"{\"name\":\"n\",\"plugins\":[\r\n {\r\n  \"type\":\"a\"\r\n },\r\n {\r\n  \"type\": \"netmend\"\r\n }\r\n]}"},
		{"a key of that name further in", `{"x":{"plugins":[1]},"name":"n","plugins":[{"type":"a","plugins":[]}],"y":[]}`,
			`{"x":{"plugins":[1]},"name":"n","plugins":[{"type":"a","plugins":[]},{"type":"netmend"}],"y":[]}`},
		{"the last of two keys counts", `{"plugins":[{"type":"z"}],"name":"n","plugins":[{"type":"a"}]}`,
			`{"plugins":[{"type":"z"}],"name":"n","plugins":[{"type":"a"},{"type":"netmend"}]}`},
		{"there already", `{"name":"n","plugins":[{"type":"a"},{"mode":"enforce","type":"netmend"}]}`, `{"name":"n","plugins":[{"type":"a"},{"mode":"enforce","type":"netmend"}]}`},
		{"there, not last: moved with its options", `{"name":"n","plugins":[{"type":"netmend","mode":"enforce"},{"type":"a"}]}`,
			`{"name":"n","plugins":[{"type":"a"},{"type":"netmend","mode":"enforce"}]}`},
		{"there twice", `{"name":"n","plugins":[{"type":"a"},{"type":"netmend"},{"type":"netmend"}]}`, `{"name":"n","plugins":[{"type":"a"},{"type":"netmend"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := insert([]byte(tt.in), plain)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("insert (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInsertRefuses(t *testing.T) {
	for _, in := range []string{"", "{", "null", `{"name":"n","plugins":[]}`, `{"name":"n"}`, `{"plugins":[{"type":"a"}]}`, `{"name":"n","plugins":[{"type":"netmend"}]}`} {
		if got, err := insert([]byte(in), plain); err == nil {
			t.Errorf("insert(%q) = %s; want an error", in, got)
		}
	}
}

func TestCutFirst(t *testing.T) {
	got, err := remove([]byte(`{"name":"n","plugins":[ {"type":"netmend"} , {"type":"a"} ]}`))
	if want := `{"name":"n","plugins":[ {"type":"a"} ]}`; err != nil || string(got) != want {
		t.Errorf("remove = %s, %v; want %s", got, err, want)
	}
}

// FuzzInsert holds: what libcni reads afterwards is the same list with netmend behind it, and taking it out gives the very bytes back.
func FuzzInsert(f *testing.F) {
	names, err := filepath.Glob("testdata/*.conf*")
	if err != nil || len(names) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("{\"name\":\"\\u00e9\",\"\\u0070lugins\":[ {\"Type\":\"a\",\"n\":1e400000}\t,\r\n{\"type\":\"b\"}\n] ,\"plugins\" : [{\"type\":\"c\"\n}]}"))
	f.Add([]byte(`{"name":"n","plugins":[{"type":"netmend"},{"type":"a"}]} `))
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzConvert(t, data)
		before, err := decode(".conflist", data)
		if err != nil {
			if _, err := insert(data, plain); err == nil {
				t.Error("insert works where libcni does not read")
			}
			return
		}
		after, err := insert(data, plain)
		if len(own(before)) > 0 || err != nil {
			if err == nil {
				if list, err := decode(".conflist", after); err != nil || len(own(list)) != 1 || own(list)[0] != len(list.Plugins)-1 {
					t.Errorf("after a second insert %v: %s", err, after)
				}
			} else if len(own(before)) != len(before.Plugins) {
				t.Errorf("insert: %v", err)
			}
			return
		}
		want, err := libcni.NetworkConfFromBytes(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := libcni.NetworkConfFromBytes(after)
		if err != nil {
			t.Fatal(err)
		}
		want.Plugins = append(want.Plugins, got.Plugins[len(got.Plugins)-1])
		if diff := sameList(want, got); diff != "" || types(got)[len(got.Plugins)-1] != "netmend" {
			t.Errorf("libcni reads (-want +got):\n%s", diff)
		}
		if back, err := remove(after); err != nil || !bytes.Equal(back, data) {
			t.Errorf("remove = %q, %v; want %q", back, err, data)
		}
		if again, err := insert(after, plain); err != nil || !bytes.Equal(again, after) {
			t.Errorf("a second insert = %q, %v; want %q", again, err, after)
		}
	})
}

// fuzzConvert holds: a single-plugin file is converted to what libcni converts it to.
func fuzzConvert(t *testing.T, data []byte) {
	t.Helper()
	want, err := readAsRuntime(data)
	if err != nil {
		return
	}
	list, err := convert(data)
	if err != nil {
		t.Fatal(err)
	}
	got, err := libcni.NetworkConfFromBytes(list)
	if err != nil {
		t.Fatalf("%v: %s", err, list)
	}
	if diff := sameList(want, got); diff != "" {
		t.Errorf("converted (-want +got):\n%s", diff)
	}
}

func sameList(want, got *libcni.NetworkConfigList) string {
	a, b := *want, *got
	a.Bytes, b.Bytes = nil, nil
	return cmp.Diff(a, b)
}
