package host

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// damage changes captured bytes as edits say, each of which is one byte that says what is done, three of the place, one of a length, and for all but a deletion as
// many bytes. What is fuzzed are the edits: of a whole capture the engine would try a few mutations in a minute.
func damage(capture, edits []byte) []byte {
	out := slices.Clone(capture)
	for len(edits) >= 5 && len(out) < 2*len(capture)+1<<16 {
		what, n := edits[0]%4, int(edits[4])
		at := int(edits[1])<<16 | int(edits[2])<<8 | int(edits[3])
		edits = edits[5:]
		at %= len(out) + 1
		if what == 0 { // a deletion, of multiples of a word, so that what stands behind keeps its form
			out = slices.Delete(out, at, min(at+4*n, len(out)))
			continue
		}
		n = min(n, len(edits))
		with := edits[:n]
		edits = edits[n:]
		switch what {
		case 1:
			out = slices.Insert(out, at, with...)
		case 2: // what is there already, once more
			end := min(at+4*n, len(out))
			out = slices.Insert(out, at, bytes.Clone(out[at:end])...)
		default:
			copy(out[at:], with)
		}
	}
	return out
}

// edit writes one edit that puts bytes at a place.
func edit(at int, with ...byte) []byte {
	return append([]byte{3, byte(at >> 16), byte(at >> 8), byte(at), byte(len(with))}, with...)
}

// damages are edits that spoil lengths, kinds and content near the start and the middle of a capture.
func damages(f *testing.F, add func(edits []byte), capture []byte) {
	f.Helper()
	add(nil)
	for _, at := range []int{0, 4, 16, 20, 24, 40, 64, 100, len(capture) / 2 &^ 3, len(capture) - 8} {
		add(edit(at, 0, 0))
		add(edit(at, 0xff, 0xff, 0xff, 0x7f))
		add([]byte{0, byte(at >> 16), byte(at >> 8), byte(at), 1})
		add([]byte{2, byte(at >> 16), byte(at >> 8), byte(at), 30})
	}
}

func TestDamage(t *testing.T) {
	for _, tt := range []struct {
		edits []byte
		want  string
	}{
		{nil, "abcdefgh"},
		{edit(2, 'X', 'Y'), "abXYefgh"},
		{edit(7, 'X', 'Y'), "abcdefgX"},
		{[]byte{0, 0, 0, 2, 1}, "abgh"},
		{append([]byte{1, 0, 0, 8, 1, '!'}, 2, 0, 0, 0, 1), "abcdefgh!"},
		{[]byte{2, 0, 0, 4, 1, 0}, "abcdefghefgh"},
	} {
		if got := damage([]byte("abcdefgh"), tt.edits); string(got) != tt.want {
			t.Errorf("damage(%v) = %q; want %q", tt.edits, got, tt.want)
		}
	}
}

func FuzzServicesIPTables(f *testing.F) {
	captures := [2][]byte{captured(f, "iptables-ip"), captured(f, "iptables-ip6")}
	for i, c := range captures {
		damages(f, func(edits []byte) { f.Add(i == 1, edits) }, c)
	}
	f.Fuzz(func(t *testing.T, six bool, edits []byte) {
		family, capture := legacyFamilies()[0], captures[0]
		if six {
			family, capture = legacyFamilies()[1], captures[1]
		}
		x := newSvcIPTables(newNFTSource(newBlobDumper(damage(capture, edits)), family.proto), svcFamily(family.proto), true)
		if x.read() == nil {
			checkPaths(t, &x.svcBuilder)
		}
	})
}

// withChains adds to a capture what was not asked for when it was made: the table's number, and the list of chains of endpoints, each with one reference.
func withChains(capture []byte, proto uint8) []byte {
	rules, names := map[string]uint32{}, []string(nil)
	for _, m := range newBlobDumper(capture).messages {
		name := secondName(m.Body)
		if m.Type != nftMsg(unix.NFT_MSG_NEWRULE) || !strings.HasPrefix(name, services.NFTPrefixEndpoint) {
			continue
		}
		if rules[name]++; rules[name] == 1 {
			names = append(names, name)
		}
	}
	head := []byte{proto, unix.NFNETLINK_V0, 0, 0}
	table := appendName(slices.Clone(head), unix.NFTA_TABLE_NAME, services.TableNFT)
	out := appendMessage(slices.Clone(capture), nftMsg(unix.NFT_MSG_NEWTABLE), 0, 0, 0, appendAttr(table, nftaTableHandle, binary.BigEndian.AppendUint64(nil, 7)))
	for _, name := range names {
		body := appendName(slices.Clone(head), unix.NFTA_CHAIN_TABLE, services.TableNFT)
		body = appendName(body, unix.NFTA_CHAIN_NAME, name)
		body = appendAttr(body, unix.NFTA_CHAIN_USE, binary.BigEndian.AppendUint32(nil, rules[name]+1))
		out = appendMessage(out, nftMsg(unix.NFT_MSG_NEWCHAIN), 0, 0, 0, body)
	}
	return out
}

// TestServicesCapturedCounted finds the same endpoints in a real kube-proxy's table with and without reading the maps.
func TestServicesCapturedCounted(t *testing.T) {
	for _, f := range legacyFamilies() {
		capture := withChains(captured(t, "nftables-"+f.name), f.proto)
		var got [3]string
		for i := range got {
			x := newSvcNFTables(newBlobDumper(capture), f.proto, false)
			if i > 0 {
				x.drawn = maxDrawn + 1
			}
			if i > 1 {
				x.likely = services.NewLikely(clusterOf(x.nf.(*blobDumper).messages), nil)
			}
			if err := x.remember(&svcMaps{}); err != nil {
				t.Fatal(err)
			}
			if err := x.read(); err != nil {
				t.Fatal(err)
			}
			got[i] = pathLines(t, &x.svcBuilder)
			if i > 0 && !slices.Contains(slices.Collect(maps.Values(x.maps.now.whole)), false) || (x.uses != nil) != (i == 1) {
				t.Errorf("%s: no map was counted, or the list of chains was read: %v", f.name, x.uses != nil)
			}
		}
		for i, how := range []string{"counted", "named"} {
			if d := cmp.Diff(got[0], got[i+1]); d != "" {
				t.Errorf("%s: paths (-read +%s):\n%s", f.name, how, d)
			}
		}
	}
}

func FuzzServicesNFTables(f *testing.F) {
	captures := [2][]byte{
		withChains(captured(f, "nftables-ip"), unix.NFPROTO_IPV4), withChains(captured(f, "nftables-ip6"), unix.NFPROTO_IPV6),
	}
	var clusters [2]*facts.Cluster
	for i, c := range captures {
		damages(f, func(edits []byte) { f.Add(i == 1, false, false, edits) }, c)
		f.Add(i == 1, true, false, []byte(nil))
		damages(f, func(edits []byte) { f.Add(i == 1, true, true, edits) }, c)
		clusters[i] = clusterOf(newBlobDumper(c).messages)
	}
	f.Fuzz(func(t *testing.T, six, many, told bool, edits []byte) {
		proto, capture := uint8(unix.NFPROTO_IPV4), captures[0]
		if six {
			proto, capture = unix.NFPROTO_IPV6, captures[1]
		}
		x := newSvcNFTables(newBlobDumper(damage(capture, edits)), proto, !many)
		if many { // so that maps are counted
			x.drawn = maxDrawn
		}
		if told {
			x.likely = services.NewLikely(clusters[svcFamily(proto)/2-2], nil)
		}
		if x.remember(&svcMaps{}) == nil && x.read() == nil {
			checkPaths(t, &x.svcBuilder)
		}
	})
}

func FuzzServicesLegacy(f *testing.F) {
	captures := map[[2]bool][]byte{}
	for i, family := range legacyFamilies() {
		for _, table := range []string{"nat", "filter"} {
			c := captured(f, "legacy-"+family.name+"-"+table)
			captures[[2]bool{i == 1, table == "filter"}] = c
			damages(f, func(edits []byte) { f.Add(i == 1, table == "filter", edits) }, c)
		}
	}
	f.Fuzz(func(t *testing.T, six, filter bool, edits []byte) {
		family, table := legacyFamilies()[0], "nat"
		if six {
			family = legacyFamilies()[1]
		}
		if filter {
			table = "filter"
		}
		blob := damage(captures[[2]bool{six, filter}], edits)
		if len(blob) < legacyInfoSize {
			return
		}
		parsed, err := family.parse(table, blob[:legacyInfoSize], blob[legacyInfoSize:])
		if err != nil {
			return
		}
		s := newLegacySource(family)
		s.add(parsed)
		x := newSvcIPTables(s, svcFamily(family.proto), true)
		if x.read() == nil {
			checkPaths(t, &x.svcBuilder)
		}
	})
}
