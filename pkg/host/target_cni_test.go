package host

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzBriefCNI holds the brief reading to the thorough one: whatever is in the file, both say the same.
func FuzzBriefCNI(f *testing.F) {
	for _, seed := range []string{
		`{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"host-local","subnet":"10.0.0.0/24"}},{"type":"portmap","capabilities":{"portMappings":true}}]}`,
		`{"cniVersion":"1.1.0","name":"cbr0","plugins":[{"type":"flannel","delegate":{"hairpinMode":true,"isDefaultGateway":true}},{"type":"netmend","mode":"warn"}]}`,
		`{"cniVersion":"0.3.1","name":"x","plugins":[{"type":5}]}`,
		`{"cniVersion":"0.3.1","name":"x","disableCheck":"true","plugins":[{"type":"ptp","ipam":null}]}`,
		`{"name":"x","plugins":[{"type":"ptp","dns":{"nameservers":5}}]}`,
		`{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"macvlan","Type":"bridge","IPAM":{"type":"dhcp"}}]}`,
	} {
		f.Add([]byte(seed))
	}
	root := f.TempDir()
	for _, dir := range []string{"proc", "etc/cni/net.d"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			f.Fatal(err)
		}
	}
	h, err := Open(Options{Root: root})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(root, "etc/cni/net.d/10.conflist"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		brief, briefErr := h.BriefCNI()
		thorough, err := h.CNI()
		if (err == nil) != (briefErr == nil) {
			t.Fatalf("brief: %v; thorough: %v", briefErr, err)
		}
		if d := cmp.Diff(thorough, brief, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); d != "" && !repeats(data) {
			t.Errorf("thorough and brief differ:\n%s", d)
		}
	})
}

// repeats says whether an object of a valid document has a key twice. A struct then keeps parts of both values, a map the last.
func repeats(data []byte) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	return repeatsIn(d)
}

func repeatsIn(d *json.Decoder) bool {
	t, err := d.Token()
	delim, nested := t.(json.Delim)
	if err != nil || !nested {
		return false
	}
	seen, twice := map[string]bool{}, false
	for d.More() {
		if delim == '{' {
			key, _ := d.Token()
			name, _ := key.(string)
			twice = twice || seen[name]
			seen[name] = true
		}
		twice = repeatsIn(d) || twice
	}
	_, err = d.Token()
	return twice && err == nil
}
