package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

const (
	flannelConflist = `{"name":"cbr0","cniVersion":"0.3.1","plugins":[
 {"type":"flannel","delegate":{"hairpinMode":true,"isDefaultGateway":true}},
 {"type":"portmap","capabilities":{"portMappings":true}}]}`
	bridgeConflist = `{"cniVersion":"1.0.0","name":"pods","disableCheck":"true","plugins":[
 {"type":"bridge","bridge":"br-pods","isGateway":true,"forceAddress":true,"promiscMode":true,"mtu":1450,
  "ipam":{"type":"host-local","dataDir":"/run/ipam","ranges":[[{"subnet":"10.244.1.0/24"}],[{"subnet":"fd00:1::/64"}]]}},
 {"type":"netmend"}]}`
	subnetEnv = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_IPV6_NETWORK=fd00::/48\nFLANNEL_IPV6_SUBNET=fd00:0:0:1::1/64\n" +
		"FLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n"
)

func flannelFacts() *facts.FlannelEnv {
	return &facts.FlannelEnv{
		Network: netip.MustParsePrefix("10.244.0.0/16"), Subnet: netip.MustParsePrefix("10.244.1.1/24"), MTU: 1450, IPMasq: true,
		IPv6Network: netip.MustParsePrefix("fd00::/48"), IPv6Subnet: netip.MustParsePrefix("fd00:0:0:1::1/64"),
	}
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, s := range texts {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestCNI(t *testing.T) {
	h := tree(t, map[string]string{
		"etc/cni/net.d/10-flannel.conflist": flannelConflist,
		"etc/cni/net.d/20-pods.conflist":    bridgeConflist,
		"etc/cni/net.d/05-bad.conf":         `{"name":"bad"}`,
		"etc/cni/net.d/06-cut.conflist":     flannelConflist[:40],
		"etc/cni/net.d/87-single.json":      `{"name":"one","cniVersion":"0.4.0","type":"bridge","ipam":{"type":"host-local","subnet":"10.1.0.0/24"}}`,
		"etc/cni/net.d/10-flannel.bak":      flannelConflist,
		"etc/cni/net.d/dir.conf/x":          "x",
		"etc/cni/net.d/README":              "x",
		"run/flannel/subnet.env":            subnetEnv,
		"opt/cni/bin/flannel":               "program",
		"opt/cni/bin/bridge":                "program",
		"usr/lib/cni/portmap":               "program",
	})
	for _, program := range []string{"opt/cni/bin/flannel", "usr/lib/cni/portmap"} { // bridge is not executable
		if err := os.Chmod(h.Path(program), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got, err := h.CNI()
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Files {
		if got.Files[i].Error != "" {
			got.Files[i].Error = "an error"
		}
	}
	want := &facts.CNI{
		Dir: "/etc/cni/net.d", BinDir: "/opt/cni/bin", Flannel: flannelFacts(),
		Files: []facts.CNIFile{
			{Name: "05-bad.conf", Error: "an error"},
			{Name: "06-cut.conflist", Error: "an error"},
			{Name: "10-flannel.conflist", Network: "cbr0", Version: "0.3.1", Plugins: []facts.CNIPlugin{
				{
					Type: "flannel", Binary: new(true), Bridge: "cni0", Gateway: true, Hairpin: true, MTU: 1450, IPAM: "host-local",
					DataDir: "/var/lib/cni/networks", Subnets: prefixes("10.244.1.0/24", "fd00:0:0:1::/64"),
				},
				{Type: "portmap", Capabilities: map[string]bool{"portMappings": true}}, // in another directory: not known
			}},
			{Name: "20-pods.conflist", Network: "pods", Version: "1.0.0", DisableCheck: true, Plugins: []facts.CNIPlugin{
				{
					Type: "bridge", Binary: new(false), Bridge: "br-pods", Gateway: true, ForceAddress: true, Promisc: true, MTU: 1450, IPAM: "host-local",
					DataDir: "/run/ipam", Subnets: prefixes("10.244.1.0/24", "fd00:1::/64"),
				},
				{Type: "netmend", Binary: new(false)},
			}},
			{Name: "87-single.json", Network: "one", Version: "0.4.0", Plugins: []facts.CNIPlugin{
				{Type: "bridge", Binary: new(false), Bridge: "cni0", IPAM: "host-local", DataDir: "/var/lib/cni/networks", Subnets: prefixes("10.1.0.0/24")},
			}},
		},
	}
	if d := gocmp.Diff(want, got, sameAddress); d != "" {
		t.Errorf("CNI (-want +got):\n%s", d)
	}
}

func TestCNINothing(t *testing.T) {
	got, err := tree(t, nil).CNI()
	if err != nil || got.Files != nil || got.Flannel != nil || got.Dir != "/etc/cni/net.d" {
		t.Errorf("CNI = %+v, %v; want no files in the usual directory", got, err)
	}
}

func TestCNIK3s(t *testing.T) {
	h := tree(t, map[string]string{"var/lib/rancher/k3s/agent/etc/cni/net.d/10-flannel.conflist": flannelConflist})
	got, err := h.CNI()
	if err != nil || len(got.Files) != 1 || !strings.HasPrefix(got.Dir, "/var/lib/rancher/k3s/") || got.Files[0].Plugins[0].Binary != nil {
		t.Errorf("CNI = %+v, %v; want the file of k3s, and nothing said about programs", got, err)
	}
}

// TestCNILinks has symbolic links as distributions make them, absolute ones among them: they lead to the node's files, never to this machine's.
func TestCNILinks(t *testing.T) {
	h := tree(t, map[string]string{"srv/net.d/10-flannel.conflist": flannelConflist, "srv/env": subnetEnv})
	for from, to := range map[string]string{
		"etc/cni": "/srv/cni", "srv/cni": "../../../../srv", "run": "/srv/run", "srv/run": "/srv/loop", "srv/loop": "/srv/run", "var": "/etc",
	} {
		if err := os.MkdirAll(filepath.Dir(h.Path(from)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, h.Path(from)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := h.CNI()
	if err == nil {
		t.Errorf("CNI with a loop of links = %+v; want an error", got)
	}
	for _, name := range []string{"srv/loop", "run"} {
		if err := os.Remove(h.Path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = h.CNI(); err != nil || len(got.Files) != 1 || got.Files[0].Network != "cbr0" {
		t.Errorf("CNI = %+v, %v; want the file behind the links", got, err)
	}
	if got, err := h.inRoot("/var/passwd"); err != nil || got != h.Path("etc/passwd") {
		t.Errorf("inRoot = %s, %v; want %s", got, err, h.Path("etc/passwd"))
	}
}

func TestCNIInlined(t *testing.T) {
	h := tree(t, map[string]string{
		"etc/cni/net.d/10-a.conflist": `{"cniVersion":"1.1.0","name":"a","plugins":[{"type":"bridge"}]}`,
		"etc/cni/net.d/20-b.conflist": `{"cniVersion":"1.1.0","name":"a","plugins":[{"type":"bridge"}],"loadOnlyInlinedPlugins":true}`,
		"etc/cni/net.d/30-c.conflist": `{"cniVersion":"1.1.0","name":"..","plugins":[{"type":"bridge"}]}`,
		"etc/cni/net.d/a/1.conf":      `{"type":"netmend"}`,
		"etc/cni/net.d/a/2.conflist":  `{"type":"not this"}`,
		"etc/cni/evil.conf":           `{"type":"not this"}`,
	})
	got, err := h.CNI()
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, f := range got.Files {
		for _, p := range f.Plugins {
			types = append(types, f.Name+" "+p.Type)
		}
	}
	want := []string{"10-a.conflist bridge", "10-a.conflist netmend", "20-b.conflist bridge", "30-c.conflist bridge"}
	if d := gocmp.Diff(want, types); d != "" {
		t.Errorf("plugins (-want +got):\n%s", d)
	}
}

func TestFlannelEnv(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       *facts.FlannelEnv // nil: an error
	}{
		{"dual-stack", subnetEnv, flannelFacts()},
		{"several networks", "FLANNEL_NETWORK=10.1.0.0/16,10.2.0.0/16\n", &facts.FlannelEnv{Network: netip.MustParsePrefix("10.1.0.0/16")}},
		{"unknown names", "X=y\n\nnonsense\n", &facts.FlannelEnv{}},
		{"bad prefix", "FLANNEL_SUBNET=10.244.1.1\n", nil},
		{"bad MTU", "FLANNEL_MTU=-1\n", nil},
		{"large MTU", "FLANNEL_MTU=99999999999\n", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFlannelEnv(tt.text)
			if (err != nil) != (tt.want == nil) {
				t.Fatalf("parseFlannelEnv: %v", err)
			}
			if d := gocmp.Diff(tt.want, got, sameAddress); d != "" {
				t.Errorf("parseFlannelEnv (-want +got):\n%s", d)
			}
		})
	}
}

func FuzzCNI(f *testing.F) {
	f.Add("a.conflist", []byte(flannelConflist), subnetEnv)
	f.Add("a.conflist", []byte(bridgeConflist), "")
	f.Add("a.conf", []byte(`{"type":"bridge","ipam":{"type":"host-local","subnet":"10.0.0.0/8","rangeStart":"10.0.0.9"}}`), "")
	f.Add("a.conflist", []byte(`{"name":"a","cniVersions":["1.1.0","9.9.9"],"plugins":[{"type":"x","ipam":null}]}`), "")
	f.Fuzz(func(t *testing.T, name string, data []byte, env string) {
		flannel, err := parseFlannelEnv(env)
		if err != nil {
			flannel = nil
		}
		p := cniParser{flannel: flannel, inlined: func(string) ([][]byte, error) { return nil, nil }}
		if _, err := p.parse(name, data); err != nil {
			return
		}
		for _, l := range p.hostLocal {
			l.networks("/x", []facts.Reservation{{IP: netip.MustParseAddr("10.0.0.9")}})
		}
	})
}
