package host

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// blobDumper answers each request with the messages that the kernel would, or, where it is deaf, with all that could answer it, as a kernel does that knows no
// filter.
type blobDumper struct {
	messages []nlMsg
	of       map[string][]nlMsg // by the chain or set
	deaf     bool
}

func newBlobDumper(blob []byte) *blobDumper {
	d := &blobDumper{of: map[string][]nlMsg{}}
	a := svcAnswer{list: true, fn: func(m nlMsg) error {
		d.messages = append(d.messages, m)
		name := secondName(m.Body)
		if m.Type == nftMsg(unix.NFT_MSG_NEWCHAIN) {
			name = chainName(m.Body)
		}
		d.of[name] = append(d.of[name], m)
		return nil
	}}
	a.take(blob)
	return d
}

// secondName is the chain or set that a request or an answer is about: their second attribute is NFTA_RULE_CHAIN, NFTA_SET_ELEM_LIST_SET or IPSET_ATTR_SETNAME.
func secondName(body []byte) string {
	if len(body) < nfgenmsgLen {
		return ""
	}
	return string(trimNul(attrOf(body[nfgenmsgLen:], unix.NFTA_RULE_CHAIN)))
}

// chainName is the chain that a request for it or an answer is about.
func chainName(body []byte) string {
	if len(body) < nfgenmsgLen {
		return ""
	}
	return string(trimNul(attrOf(body[nfgenmsgLen:], unix.NFTA_CHAIN_NAME)))
}

func (d *blobDumper) dump(typ uint16, body []byte, fn func(m nlMsg) error) error {
	if typ>>8 == unix.NFNL_SUBSYS_NFTABLES {
		typ-- // NFT_MSG_GETRULE is answered by NFT_MSG_NEWRULE
	}
	list := d.messages
	if name := secondName(body); name != "" && !d.deaf {
		list = d.of[name]
	}
	for _, m := range list {
		if m.Type == typ {
			if err := fn(m); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *blobDumper) short(typ uint16, body []byte, fn func(m nlMsg) error) error {
	return d.dump(typ, body, fn)
}

func (d *blobDumper) both(object uint16, its []byte, typ uint16, body []byte, fn func(m nlMsg) error) error {
	for _, m := range d.of[chainName(its)] {
		if m.Type == object-1 {
			if err := fn(m); err != nil {
				return err
			}
			break
		}
	}
	return d.dump(typ, body, fn)
}

// captured is what a real kube-proxy has written for a Service of every kind, as the kernel gave it on amd64.
func captured(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata/services", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

func capturedLegacy(t testing.TB, f legacyFamily) *legacySource {
	t.Helper()
	s := newLegacySource(f)
	for _, table := range []string{"nat", "filter"} {
		data := captured(t, "legacy-"+f.name+"-"+table)
		parsed, err := f.parse(table, data[:legacyInfoSize], data[legacyInfoSize:])
		if err != nil {
			t.Fatal(err)
		}
		s.add(parsed)
	}
	return s
}

// pathLines writes each path as a line of JSON.
func pathLines(t *testing.T, b *svcBuilder) string {
	t.Helper()
	b.finish()
	var out strings.Builder
	for _, p := range b.paths {
		line, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.String()
}

// TestServicesCaptured reads the same Services as a real kube-proxy wrote them by each backend of iptables and in nftables mode.
func TestServicesCaptured(t *testing.T) {
	for _, f := range legacyFamilies() {
		family := svcFamily(f.proto)
		dumper := newBlobDumper(captured(t, "iptables-"+f.name))
		dumper.deaf = f.name == "ip"
		nft := newSvcIPTables(newNFTSource(dumper, f.proto), family, false)
		legacy := newSvcIPTables(capturedLegacy(t, f), family, false)
		table := newSvcNFTables(newBlobDumper(captured(t, "nftables-"+f.name)), f.proto, false)
		for _, tt := range []struct {
			name   string
			read   func() error
			result *svcBuilder
		}{
			{"iptables-" + f.name, nft.read, &nft.svcBuilder}, {"legacy-" + f.name, legacy.read, &legacy.svcBuilder}, {"nftables-" + f.name, table.read, &table.svcBuilder},
		} {
			t.Run(tt.name, func(t *testing.T) {
				if err := tt.read(); err != nil {
					t.Fatal(err)
				}
				want, err := os.ReadFile(filepath.Join("testdata/services", tt.name+".txt"))
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), pathLines(t, tt.result)); d != "" {
					t.Errorf("paths (-want +got):\n%s", d)
				}
			})
		}
	}
}

// checkPaths fails where paths do not hold together, whatever they were read from.
func checkPaths(t *testing.T, b *svcBuilder) {
	t.Helper()
	b.finish()
	for _, p := range b.paths {
		if p.Port == 0 || p.Protocol == "" || p.Family != 4 && p.Family != 6 {
			t.Fatalf("a path without frontend: %+v", p)
		}
		for i, backend := range p.Backends {
			if !backend.Addr.IsValid() || i > 0 && p.Backends[i-1].Addr.Compare(backend.Addr) >= 0 {
				t.Fatalf("backends that are not valid, or not in their order: %+v", p)
			}
		}
	}
}

// TestServicesMode refuses where no mode is known.
func TestServicesMode(t *testing.T) {
	r := (&NS{}).ServiceReader(ServiceOptions{})
	if _, _, err := r.Read(nil); err == nil {
		t.Error("Read without a mode succeeds")
	}
	if d := cmp.Diff("default/kubernetes:https", svcName([]byte("default/kubernetes:https cluster IP"))); d != "" {
		t.Error(d)
	}
	if got := nftName("service-ULMVA6XW-ns1/svc1/tcp/p80"); got != "ns1/svc1:p80" {
		t.Errorf("nftName = %q", got)
	}
}
