package host

import (
	"encoding/json"
	"errors"
	"hash/maphash"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// ipvsRules puts together what servers and lists tell of Services in IPVS mode, as ServiceReader does.
func ipvsRules(servers *ipvsReader, nf nfDumper) (*facts.ServiceRules, error) {
	var h maphash.Hash
	x := newSvcIPVS(&h, false)
	if err := servers.each(x.keep); err != nil {
		return nil, err
	}
	sum := h.Sum64()
	h.Reset()
	if err := servers.each(x.sum); err != nil || h.Sum64() != sum {
		return nil, errors.Join(err, errors.New("two readings of the same differ"))
	}
	names, err := ipsetNames(nf, "KUBE-")
	if err != nil {
		return nil, err
	}
	if err := x.readSets(nf, names); err != nil {
		return nil, err
	}
	for i, f := range legacyFamilies() {
		if x.masq[i], err = readIPVSMasq(newNFTSource(nf, f.proto), names); err != nil {
			return nil, err
		}
	}
	return x.rules(), nil
}

// TestServicesCapturedIPVS reads a Service of every kind as a real kube-proxy wrote it in IPVS mode.
func TestServicesCapturedIPVS(t *testing.T) {
	rules, err := ipvsRules(newBlobIPVS(captured(t, "ipvs-servers")).reader(), newBlobDumper(captured(t, "ipvs-lists")))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, p := range rules.Paths {
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	want, err := os.ReadFile("testdata/services/ipvs.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), out.String()); d != "" {
		t.Errorf("paths (-want +got):\n%s", d)
	}
}

// FuzzServicesIPVS has the lists of servers, of sets and of rules that a real kube-proxy wrote, and edits them.
func FuzzServicesIPVS(f *testing.F) {
	servers, lists := captured(f, "ipvs-servers"), captured(f, "ipvs-lists")
	damages(f, func(edits []byte) { f.Add(edits, []byte(nil)) }, servers)
	damages(f, func(edits []byte) { f.Add([]byte(nil), edits) }, lists)
	f.Fuzz(func(t *testing.T, serverEdits, listEdits []byte) {
		first, blob := damage(servers, serverEdits), damage(lists, listEdits)
		rules, err := ipvsRules(newBlobIPVS(first).reader(), newBlobDumper(blob))
		if err != nil {
			return
		}
		if most := len(first) + len(blob); len(rules.Paths) > most {
			t.Fatalf("%d paths of %d bytes", len(rules.Paths), most)
		}
		for _, p := range rules.Paths {
			if p.Port == 0 || p.Protocol == "" || p.Family != 4 && p.Family != 6 {
				t.Fatalf("a path without frontend: %+v", p)
			}
			if len(p.Sources) > len(blob) {
				t.Fatalf("%d source ranges of %d bytes", len(p.Sources), len(blob))
			}
		}
	})
}
