package redact

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

// filler gives every text and address of a snapshot a value of its own.
type filler struct{ n int }

func (f *filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		f.n++
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{198, 51, 100, byte(f.n)})))
		return
	case netip.Prefix:
		f.n++
		v.Set(reflect.ValueOf(netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(f.n)}), 28)))
		return
	case netip.AddrPort:
		f.n++
		v.Set(reflect.ValueOf(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(f.n)}), 53)))
		return
	case time.Time:
		return
	}
	switch v.Kind() {
	case reflect.String:
		f.n++
		v.SetString(fmt.Sprintf("secret%d", f.n))
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		f.fill(v.Index(0))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key)
		f.fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	}
}

// texts gives the values of a snapshot's fields by their paths.
func texts(v reflect.Value, path string, out map[string]string) {
	switch x := v.Interface().(type) {
	case netip.Addr, netip.Prefix, netip.AddrPort:
		out[path] = fmt.Sprint(x)
		return
	case time.Time:
		return
	}
	switch v.Kind() {
	case reflect.String:
		out[path] = v.String()
	case reflect.Struct:
		for i := range v.NumField() {
			texts(v.Field(i), path+"."+v.Type().Field(i).Name, out)
		}
	case reflect.Pointer:
		texts(v.Elem(), path, out)
	case reflect.Slice:
		texts(v.Index(0), path, out)
	case reflect.Map:
		key := v.MapKeys()[0]
		texts(key, path+".key", out)
		texts(v.MapIndex(key), path+".value", out)
	}
}

// TestEveryField fails for a field that somebody adds to the facts and forgets here.
func TestEveryField(t *testing.T) {
	kept := []string{
		// what software of the node is called, and words of the kernel's vocabulary
		".Node.Kernel", ".Node.Distribution", ".Kinds", ".Missing.key", ".Host.Missing.key", ".Host.Links.Kind", ".Host.Links.Driver", ".Host.Links.Features.key",
		".Host.Links.Tunnel.DF", ".Host.Links.Port.State", ".Host.Addresses.Scope", ".Host.Addresses.Protocol", ".Host.Routes.Type", ".Host.Routes.Scope",
		".Host.Routes.Protocol", ".Host.Rules.Action", ".Host.Neighbours.State", ".Host.FDB.State", ".Host.Counters.Total.key", ".Host.Counters.Delta.key",
		".Host.Softnet.Sockstat.key", ".Host.Conntrack.Stats.key", ".Host.Conntrack.Delta.key", ".Host.Tables.Backend", ".Host.Tables.Family", ".Host.Tables.Chains.Type",
		".Host.Tables.Chains.Hook", ".Host.Tables.Chains.Policy", ".Host.Tables.Chains.Rules.Verdict", ".Host.Tables.Chains.Rules.Proto",
		".Host.Tables.Chains.Rules.DPort", ".Host.Tables.Chains.Rules.Mark", ".Host.Tables.Chains.Rules.SetMark", ".Host.Tables.Chains.Rules.CTState",
		".Host.Tables.Chains.Rules.CTStatus", ".Host.IPVS.Servers.Protocol", ".Intent.Services.Protocol", ".ServiceVIPs.ServiceIntent.Protocol", ".ServiceVIPs.Mode",
		".Proxy.Mode", ".CNI.Files.Version", ".Proxy.Replaced", ".Agents.Name", // the last two are of a list that package host has
		// a sysctl that is no link's, and its value; the first file below is not of net/, so its value is drawn
		".Host.Sysctls.key", ".Host.Sysctls.value", ".SysctlFiles.Key",
		// text of filters that is an address or nothing
		".Host.Tables.Chains.Rules.Src", ".Host.Tables.Chains.Rules.Dst",
		// free text, in which names that occur elsewhere, addresses, paths, ids and quoted words are replaced
		".Note", ".Missing.value", ".Host.Missing.value", ".Intent.Services.Source", ".ServiceVIPs.ServiceIntent.Source", ".ServiceVIPs.Detail", ".Proxy.Source", ".CNI.Files.Error",
		".Intent.Cluster.Source", ".Intent.Cluster.Unheard", ".Intent.Cluster.Proxy.Reason", ".ServiceRules.Paths.Broken", ".ServiceRules.Paths.Unknown", ".ServiceRules.Paths.Trace",
		".ServiceRules.Ahead.Where", ".ServiceRules.Ahead.Unknown",
		// words of the API and of kube-proxy
		".Intent.Cluster.All.Type", ".Intent.Cluster.All.Ports.Protocol", ".Intent.Cluster.Slices.Ports.Protocol", ".Intent.Cluster.Proxy.Phase", ".ServiceRules.Mode",
		".ServiceRules.Paths.Kind", ".ServiceRules.Paths.Scope", ".ServiceRules.Paths.Protocol", ".ServiceRules.Paths.Verdict", ".Proxy.Config.Mode", ".Proxy.Config.DetectLocal",
		".Proxy.Config.Scheduler", ".Proxy.Config.NodePortAddresses", ".ServiceRules.Ahead.Hook", ".ServiceRules.Ahead.Protocol", ".ServiceRules.Ahead.Does",
	}
	var s facts.Snapshot
	(&filler{}).fill(reflect.ValueOf(&s).Elem())
	s.Host.Links[0].MAC, s.Host.FDB[0].MAC, s.Host.Neighbours[0].MAC = "52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03"
	hidden, err := Snapshot(&s, []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	before, after := map[string]string{}, map[string]string{}
	texts(reflect.ValueOf(s), "", before)
	texts(reflect.ValueOf(*hidden), "", after)
	var same []string
	for path, text := range before {
		if strings.HasPrefix(path, ".Pods") { // the same type as Host
			continue
		}
		if after[path] == text {
			same = append(same, path)
		}
	}
	slices.Sort(kept)
	slices.Sort(same)
	if d := cmp.Diff(kept, same); d != "" {
		t.Errorf("fields that stay as they are (-want +got):\n%s", d)
	}
}

func TestSubnetsStaySubnets(t *testing.T) {
	s := &facts.Snapshot{Host: facts.Namespace{Addresses: []facts.Address{
		{Link: 2, Prefix: netip.MustParsePrefix("192.168.7.11/24")}, {Link: 4, Prefix: netip.MustParsePrefix("10.244.1.0/32")}, {Link: 5, Prefix: netip.MustParsePrefix("10.244.1.1/24")},
	}, Routes: []facts.Route{
		{Dst: netip.MustParsePrefix("10.244.0.0/16")}, {Dst: netip.MustParsePrefix("10.244.1.0/24")}, {Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.168.7.1")},
		{Dst: netip.MustParsePrefix("fd00:1:2::/64")}, {Dst: netip.MustParsePrefix("fe80::/64")}, {Dst: netip.MustParsePrefix("10.0.0.0/8")}, {Dst: netip.MustParsePrefix("169.254.1.1/32")},
	}}}
	for seed := range 20 {
		h, err := Snapshot(s, []byte{byte(seed)})
		if err != nil {
			t.Fatal(err)
		}
		a, r := h.Host.Addresses, h.Host.Routes
		subnet := a[2].Prefix.Masked()
		if a[1].Prefix.Addr() != subnet.Addr() || a[2].Prefix.Addr() != subnet.Addr().Next() {
			t.Errorf("key %d: the subnet is %s, its first addresses %s and %s", seed, subnet, a[1].Prefix, a[2].Prefix)
		}
		if r[1].Dst != subnet || !r[0].Dst.Contains(subnet.Addr()) || r[0].Dst != r[0].Dst.Masked() {
			t.Errorf("key %d: routes to %s and %s for the subnet %s", seed, r[0].Dst, r[1].Dst, subnet)
		}
		if !a[0].Prefix.Contains(r[2].Gateway) || r[2].Gateway.As4()[3] != 1 || r[2].Dst.Bits() != 0 || !r[2].Dst.Addr().IsUnspecified() {
			t.Errorf("key %d: gateway %s of %s for %s", seed, r[2].Gateway, r[2].Dst, a[0].Prefix)
		}
		if got := r[3].Dst; !got.Addr().IsPrivate() || got != got.Masked() || got == s.Host.Routes[3].Dst {
			t.Errorf("key %d: fd00:1:2::/64 became %s", seed, got)
		}
		for _, i := range []int{4, 5, 6} {
			if r[i].Dst != s.Host.Routes[i].Dst {
				t.Errorf("key %d: %s became %s", seed, s.Host.Routes[i].Dst, r[i].Dst)
			}
		}
		for i := range a {
			if a[i].Prefix.Addr() == s.Host.Addresses[i].Prefix.Addr() || !a[i].Prefix.Addr().IsPrivate() {
				t.Errorf("key %d: %s became %s", seed, s.Host.Addresses[i].Prefix, a[i].Prefix)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		name string
		keep string // what must stay of it, a pattern of path.Match
	}{
		{"eth0", "eth0"}, {"eth0.100", "eth0.100"}, {"enp94s0f0np0", "enp94s0f0np0"}, {"lo", "lo"}, {"cni0", "cni0"}, {"flannel.1", "flannel.1"}, {"vxlan.calico", "vxlan.calico"},
		{"kube-ipvs0", "kube-ipvs0"}, {"docker0", "docker0"}, {"tunl0", "tunl0"}, {"cilium_vxlan", "cilium_vxlan"}, {"all", "all"}, {"default", "default"}, {"cali+", "cali+"}, {"!docker0", "!docker0"},
	} {
		got := tt.name
		newRedactor([]byte("k"), 1).link(&got)
		if got != tt.keep {
			t.Errorf("link(%q) = %q; want %q", tt.name, got, tt.keep)
		}
	}
	for _, name := range []string{"veth1b2c3d", "cali0123456789a", "lxc0a1b2c3d4e5f", "br-0a1b2c3d4e5f", "acme-uplink", "ethacme", "enx525400123456", "x", "wan1"} {
		got := name
		r := newRedactor([]byte("k"), 1)
		r.link(&got)
		if got == name || len(got) != len(name) {
			t.Errorf("link(%q) = %q; want another of the same length", name, got)
		}
		pattern := name[:len(name)-1] + "+"
		r.link(&pattern)
		if !strings.HasPrefix(got, strings.TrimSuffix(pattern, "+")) {
			t.Errorf("link(%q) = %q is not matched by %q", name, got, pattern)
		}
	}
}

func TestText(t *testing.T) {
	r := newRedactor([]byte("k"), 1)
	link, node := "acme0", "db-7.example.org"
	r.link(&link)
	r.names[node] = "node"
	for _, tt := range []struct{ text, gone, stays string }{
		{"open /run/netns/acme-ns: permission denied", "acme", "open /run/netns/"},
		{"dial tcp 10.1.2.3:443: connection refused", "10.1.2.3", ":443: connection refused"},
		{`plugin "acme-cni" is not in /opt/cni/bin`, "acme", "/opt/cni/bin"},
		{"acme0: on db-7.example.org.", "acme", ": on node."},
		{"!10.1.0.0/16", "10.1.", "/16"},
		{"lladdr 52:54:00:aa:bb:cc PERMANENT", "52:54", " PERMANENT"},
		{"fd00:aa::1 . tcp . 443", "aa", " . tcp . 443"},
		{"sandbox 0a1b2c3d4e5f60718293 is gone", "0a1b2c", "sandbox "},
		{"127.0.0.1:10249/proxyMode", "none", "127.0.0.1:10249/proxyMode"},
		{"fe80::1%acme0", "acme", "fe80::"},
	} {
		got := r.textOf(tt.text)
		if strings.Contains(got, tt.gone) || !strings.Contains(got, tt.stays) {
			t.Errorf("textOf(%q) = %q; want nothing of %q, and %q", tt.text, got, tt.gone, tt.stays)
		}
	}
}

func FuzzAddr(f *testing.F) {
	f.Add([]byte{10, 244, 1, 5}, []byte{10, 244, 1, 77}, uint8(24))
	f.Add([]byte{127, 0, 0, 1}, []byte{0, 0, 0, 0}, uint8(8))
	f.Add(netip.MustParseAddr("fd00::1").AsSlice(), netip.MustParseAddr("fd00::ff").AsSlice(), uint8(64))
	f.Fuzz(func(t *testing.T, one, two []byte, bits uint8) {
		a, ok := netip.AddrFromSlice(one)
		b, both := netip.AddrFromSlice(two)
		if !ok || !both || a.BitLen() != b.BitLen() || a.Is4In6() || b.Is4In6() || a == caliHost || b == caliHost {
			return
		}
		r := newRedactor([]byte("key"), 1)
		if p, err := a.Prefix(int(bits) % (a.BitLen() + 1)); err == nil {
			r.knownSubnet(p)
		}
		c, d := a, b
		r.addr(&c)
		r.addr(&d)
		if got, want := common(c, d), common(a, b); got != want {
			t.Errorf("%s and %s have %d bits in common, their replacements %s and %s %d", a, b, want, c, d, got)
		}
		if a.IsLoopback() != c.IsLoopback() || a.IsMulticast() != c.IsMulticast() || a.IsUnspecified() != c.IsUnspecified() || a.IsPrivate() != c.IsPrivate() || a.IsLinkLocalUnicast() != c.IsLinkLocalUnicast() {
			t.Errorf("%s became %s, of another sort", a, c)
		}
	})
}

// common counts the leading bits that two addresses share.
func common(a, b netip.Addr) int {
	for bits := a.BitLen(); bits > 0; bits-- {
		if netip.PrefixFrom(a, bits).Contains(b) {
			return bits
		}
	}
	return 0
}

func FuzzLink(f *testing.F) {
	f.Add("veth0a", "veth0b")
	f.Add("acme", "acme0")
	f.Add("überlink", "üb")
	f.Fuzz(func(t *testing.T, one, two string) {
		if len(one) > longName || len(two) > longName {
			return
		}
		r := newRedactor([]byte("key"), 1)
		a, b := strings.ToValidUTF8(strings.TrimLeft(one, "!"), "?"), strings.ToValidUTF8(strings.TrimLeft(two, "!"), "?")
		c, d := a, b
		r.link(&c)
		r.link(&d)
		if (a == b) != (c == d) {
			t.Errorf("%q and %q became %q and %q", a, b, c, d)
		}
		if strings.HasPrefix(a, b) != strings.HasPrefix(c, d) {
			t.Errorf("%q starts with %q: %v; their replacements %q and %q: %v", a, b, strings.HasPrefix(a, b), c, d, strings.HasPrefix(c, d))
		}
		if (a == "") != (c == "") {
			t.Errorf("%q became %q", a, c)
		}
	})
}
