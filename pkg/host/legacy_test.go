package host

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// legacyBlob reads a table as the kernel gave it on amd64: its info, then its entries.
func legacyBlob(t testing.TB, name string) (info, blob []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/legacy", name))
	if err != nil {
		t.Fatal(err)
	}
	return data[:legacyInfoSize], data[legacyInfoSize:]
}

func TestLegacyParse(t *testing.T) {
	info, blob := legacyBlob(t, "ip-nat")
	table, err := legacyFamilies()[0].parse("nat", info, blob)
	if err != nil {
		t.Fatal(err)
	}
	got, err := table.facts()
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]int{"KUBE-SVC-": 1, "KUBE-SEP-": 1}, got.Bulk); d != "" {
		t.Errorf("bulk (-want +got):\n%s", d)
	}
	var names []string
	for _, c := range got.Chains {
		names = append(names, c.Name+" "+c.Hook+" "+c.Policy)
	}
	want := []string{"PREROUTING prerouting accept", "INPUT input accept", "OUTPUT output accept", "POSTROUTING postrouting accept", "KUBE-POSTROUTING  "}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("chains (-want +got):\n%s", d)
	}
	rules := []facts.FilterRule{
		{Verdict: "jump", Target: "KUBE-POSTROUTING", Comment: "kubernetes postrouting rules"},
		{Verdict: "goto", Target: "KUBE-POSTROUTING", Src: "10.244.0.0/16", OutLink: "!cni0"},
	}
	if d := cmp.Diff(rules, rulesOf(t, &got, "POSTROUTING")); d != "" {
		t.Errorf("rules (-want +got):\n%s", d)
	}
	if table.find("KUBE-SVC-NPX46M4PTMTKRN6Y") == nil || table.find("KUBE-SVC-X") != nil {
		t.Error("find: want the chain of a Service, and no other")
	}
}

// TestLegacyDamaged cuts a table at every byte and puts nonsense into each of its offsets.
func TestLegacyDamaged(t *testing.T) {
	for _, f := range legacyFamilies() {
		name := map[string]string{"ip": "nat", "ip6": "filter"}[f.name]
		info, blob := legacyBlob(t, f.name+"-"+name)
		for i := range blob {
			if table, err := f.parse(name, info, blob[:i]); err == nil {
				if _, err := table.facts(); err != nil {
					t.Errorf("facts of %d bytes: %v", i, err)
				}
			}
		}
		for i := 0; i+2 <= len(blob); i += 2 {
			for _, v := range []uint16{0, 1, 0x7fff, 0xffff} {
				damaged := slices.Clone(blob)
				binary.NativeEndian.PutUint16(damaged[i:], v)
				if table, err := f.parse(name, info, damaged); err == nil {
					if _, err := table.facts(); err != nil {
						t.Errorf("facts with %#x at %d: %v", v, i, err)
					}
				}
			}
		}
	}
}

func FuzzLegacy(f *testing.F) {
	for i, name := range []string{"ip-nat", "ip6-filter"} {
		info, blob := legacyBlob(f, name)
		f.Add(i == 1, info, blob)
	}
	f.Fuzz(func(t *testing.T, six bool, info, blob []byte) {
		family := legacyFamilies()[0]
		if six {
			family = legacyFamilies()[1]
		}
		table, err := family.parse("filter", info, blob)
		if err != nil {
			return
		}
		if _, err := table.facts(); err != nil {
			return
		}
	})
}

// TestLegacyForeignList has a tree made by hand that lists a table which the kernel does not have: asking for it would make it.
func TestLegacyForeignList(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/net"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "proc/net/ip_tables_names"), []byte("nat\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign, err := Open(Options{Root: root, NetNS: h.Node().Path})
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Close()
	err = foreign.Node().Do(func() error { _, err := foreign.Node().Legacy(); return err })
	if err == nil || !strings.Contains(err.Error(), "lists nat, which this kernel does not have") {
		t.Errorf("Legacy = %v; want it to refuse", err)
	}
	sh(`test -z "$(cat /proc/net/ip_tables_names)"`)
}

// TestLegacyBeside shows that a table of one family does not make one of the other, and that only what is listed is read.
func TestLegacyBeside(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("iptables-legacy -w -t nat -N X")
	tables := inNS(t, h, h.Node().Legacy)
	if len(tables) != 1 || tables[0].Name != "nat" || tables[0].Chain("X") == nil {
		t.Errorf("Legacy = %+v; want table nat with chain X alone", tables)
	}
	sh(`test "$(cat /proc/net/ip_tables_names)" = nat && test -z "$(cat /proc/net/ip6_tables_names)"`)
}
