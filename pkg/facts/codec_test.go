package facts

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// spaces is an endless stream of spaces that never ends a document.
type spaces struct{ read int }

func (s *spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	s.read += len(p)
	return len(p), nil
}

func TestDecodeStopsAtItsBound(t *testing.T) {
	endless := &spaces{}
	_, err := Decode(endless)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("Decode(endless) = %v; want %v", err, ErrTooLarge)
	}
	if endless.read > MaxSize+1<<20 {
		t.Errorf("Decode read %d bytes; want no more than %d", endless.read, MaxSize+1<<20)
	}
}

func TestDecodeBoundsValues(t *testing.T) {
	for name, bomb := range map[string]string{
		"empty links":    `{"schema":1,"host":{"links":[` + strings.Repeat("{},", maxObjects) + `{}]}}`,
		"null links":     `{"schema":1,"host":{"links":[` + strings.Repeat("null,", maxObjects) + `null]}}`,
		"empty prefixes": `{"schema":1,"intent":{"podCIDRs":[` + strings.Repeat(`"",`, maxValues+1) + `""]}}`,
	} {
		if _, err := Decode(strings.NewReader(bomb)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("Decode(%s) = %v; want %v", name, err, ErrTooLarge)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"empty", "", "not a whole JSON document"},
		{"half", `{"schema":1,"host":{"links":[{"index":1,`, "not a whole JSON document"},
		{"other document", `{"kind":"Report"}`, `no "schema"`},
		{"newer schema", `{"schema":99,"news":1}`, "schema 99 is not known"},
		{"schema of another type", `{"schema":"x"}`, "decode snapshot"},
		{"unknown field", `{"schema":1,"hots":{}}`, `unknown field "hots"`},
		{"two documents", `{"schema":1} {"schema":1}`, "not a whole JSON document"},
		{"unknown kind", `{"schema":1,"kinds":["stars"]}`, `unknown kind of facts "stars"`},
		{"missing but not asked for", `{"schema":1,"missing":{"links":"x"}}`, "was not asked for"},
		{"no time", `{"schema":1,"window":{"seconds":-1}}`, "window of -1 seconds"},
		{"index", `{"schema":1,"host":{"links":[{"index":0,"name":"x"}]}}`, "with index 0"},
		{"index twice", `{"schema":1,"host":{"links":[{"index":1,"name":"x"},{"index":1,"name":"y"}]}}`, "two links with index 1"},
		{"namespace twice", `{"schema":1,"host":{"inode":4},"pods":[{"inode":4}]}`, "namespace 4 occurs twice"},
		{"key twice", `{"schema":1,"host":{"inode":1},"note":"{\\\"","host":{"inode":2}}`, `key "host" occurs twice`},
		{"key twice, written in two ways", `{"schema":1,"host":{"sysctls":{"a":"[","\u0061":"x"}}}`, `key "a" occurs twice`},
		{"too many pods", `{"schema":1,"pods":[` + strings.Repeat("{},", maxPods) + `{}]}`, "a node has no more than"},
		{"a Service's protocol", `{"schema":1,"intent":{"cluster":{"services":[{"name":"a/b","ports":[{"protocol":"icmp"}]}]}}}`, `a port of protocol "icmp"`},
		{"a Service's address", `{"schema":1,"intent":{"cluster":{"services":[{"name":"a/b","clusterIPs":[""]}]}}}`, "empty ClusterIP"},
		{"an EndpointSlice's family", `{"schema":1,"intent":{"cluster":{"slices":[{"name":"s","family":5}]}}}`, "is of family 5"},
		{"an endpoint's address", `{"schema":1,"intent":{"cluster":{"slices":[{"name":"s","family":4,"endpoints":[{"addr":""}]}]}}}`, "an endpoint without address"},
		{"too many Services", `{"schema":1,"intent":{"cluster":{"services":[` + strings.Repeat("{},", maxServices) + `{}]}}}`, "a cluster has no more than"},
		{"a path's port", `{"schema":1,"serviceRules":{"paths":[{"family":4,"protocol":"tcp"}]}}`, "to port 0/tcp"},
		{"a path's family", `{"schema":1,"serviceRules":{"paths":[{"family":7,"protocol":"tcp","port":1}]}}`, "with family 7"},
		{"a backend", `{"schema":1,"serviceRules":{"paths":[{"family":4,"protocol":"tcp","port":1,"backends":[{"addr":""}]}]}}`, "a backend without address"},
		{"masquerading", `{"schema":1,"serviceRules":{"paths":[{"family":4,"protocol":"tcp","port":1,"masquerade":"some"}]}}`, `unknown kind of masquerading "some"`},
		{"bad prefix", `{"schema":1,"host":{"addresses":[{"prefix":"10.0.0.0/99"}]}}`, "decode snapshot"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Decode(strings.NewReader(tt.in))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Decode = %v; want an error with %q", err, tt.want)
			}
			if err != nil && strings.ContainsRune(err.Error(), '\n') {
				t.Errorf("Decode: the error has several lines: %q", err)
			}
		})
	}
}

func TestEncodeDecode(t *testing.T) {
	id := 3
	s := &Snapshot{Schema: Schema, Kinds: []Kind{KindLinks}, Missing: map[Kind]string{KindLinks: "why"}, Host: Namespace{
		Inode: 1, NSID: &id, Links: []Link{{Index: 1, Name: "lo", MTU: 65536, Features: map[string]Feature{FeatureTxChecksum: {On: true}}}}}}
	var b bytes.Buffer
	if err := s.Encode(&b); err != nil {
		t.Fatal(err)
	}
	got, err := Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, got); d != "" {
		t.Errorf("Decode(Encode) (-want +got):\n%s", d)
	}
}

func TestHas(t *testing.T) {
	s := &Snapshot{Kinds: []Kind{KindLinks, KindRoutes, KindIPVS}, Missing: map[Kind]string{KindRoutes: "why"}}
	pod := &Namespace{Missing: map[Kind]string{KindLinks: "why"}}
	for _, tt := range []struct {
		kind      Kind
		node, pod bool
	}{
		{KindLinks, true, false}, {KindRoutes, false, true}, {KindIPVS, true, false}, {KindFDB, false, false},
	} {
		if got := s.Has(tt.kind); got != tt.node {
			t.Errorf("Has(%s) = %v; want %v", tt.kind, got, tt.node)
		}
		if got := s.PodHas(pod, tt.kind); got != tt.pod {
			t.Errorf("PodHas(%s) = %v; want %v", tt.kind, got, tt.pod)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"schema":1,"kinds":["links"],"host":{"inode":1,"links":[{"index":1,"name":"lo","mtu":65536}]}}`))
	f.Add([]byte(`{"schema":1,"host":{"addresses":[{"link":1,"prefix":"10.0.0.1/8","peer":""}]}}`))
	f.Add([]byte(`{"schema":1,"host":{"sysctls":{"a\"b":"]","c":"}"}},"pods":[{"inode":3,"links":[]},{"inode":4}]}`))
	f.Add([]byte(`{"schema":1,"intent":{"cluster":{"services":[{"name":"a/b","clusterIPs":["10.0.0.1"],"ports":[{"protocol":"tcp","port":1}]}],"slices":[{"service":"a/b","family":6}]}},` +
		`"serviceRules":{"mode":"ipvs","families":[4],"paths":[{"family":4,"vip":"10.0.0.1","port":1,"protocol":"udp","masquerade":"all+hairpin","backends":[{"addr":"10.1.0.1:2","weight":1}]}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Decode(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := s.Encode(&b); err != nil {
			t.Fatalf("Encode of a decoded snapshot: %v", err)
		}
		if _, err := Decode(&b); err != nil {
			t.Fatalf("Decode of an encoded snapshot: %v", err)
		}
	})
}
