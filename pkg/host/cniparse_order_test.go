package host

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCNIPluginOrder holds that plugins keep the order in which the runtime calls them: the list's, then those in files of their own.
func TestCNIPluginOrder(t *testing.T) {
	p := cniParser{inlined: func(string) ([][]byte, error) { return [][]byte{[]byte(`{"type":"netmend"}`)}, nil }}
	f, err := p.parse("10-a.conflist", []byte(`{"cniVersion":"1.1.0","name":"a","plugins":[{"type":"bridge"},{"type":"portmap"},{"type":"tuning"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, plugin := range f.Plugins {
		got = append(got, plugin.Type)
	}
	if d := cmp.Diff([]string{"bridge", "portmap", "tuning", "netmend"}, got); d != "" {
		t.Errorf("plugins (-want +got):\n%s", d)
	}
}
