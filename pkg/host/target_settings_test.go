package host

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSettings compares what messages tell with what the sysctls show, for two links whose settings differ.
func TestSettings(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("ip link add lan0 type veth peer name lan1; sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.lan0.forwarding=0 net.ipv4.conf.lan0.proxy_arp=1 net.ipv6.conf.all.forwarding=1")
	n := h.Node()
	want := inNS(t, h, func() (map[string]string, error) {
		return n.Sysctls([]string{
			"net/ipv4/conf/lan0/forwarding", "net/ipv4/conf/lan0/proxy_arp", "net/ipv4/conf/lan1/forwarding", "net/ipv4/conf/lan1/proxy_arp", "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding",
		})
	})
	for _, link := range []string{"lan0", "lan1"} {
		s := inNS(t, h, func() (Settings, error) {
			l, err := n.LinkNamed(link)
			if err != nil {
				return Settings{}, err
			}
			_, s, err := n.LinkSettings(l.Index)
			return s, err
		})
		for name, setting := range map[string]int{"forwarding": Forwarding, "proxy_arp": ProxyARP} {
			path := "net/ipv4/conf/" + link + "/" + name
			if got, has := s.Value(setting); !has || got != want[path] {
				t.Errorf("Settings.Value(%s of %s) = %q, %v; the sysctl shows %q", name, link, got, has, want[path])
			}
		}
	}
	for path, v4 := range map[string]bool{"net/ipv4/ip_forward": true, "net/ipv6/conf/all/forwarding": false} {
		inNS(t, h, func() (any, error) {
			got, has, err := n.Forwards(v4)
			if !has || got != want[path] {
				t.Errorf("Forwards(%v) = %q, %v; the sysctl shows %q", v4, got, has, want[path])
			}
			return nil, err
		})
	}
	if _, has := (Settings{}).Value(Forwarding); has {
		t.Error("Settings of a link without IPv4 have a value")
	}
}

func FuzzSettings(f *testing.F) {
	conf := appendAttr(nil, iflaInetConf, binary.NativeEndian.AppendUint32(nil, 1))
	f.Add(appendAttr(make([]byte, unix.SizeofIfInfomsg), unix.IFLA_AF_SPEC, appendAttr(nil, unix.AF_INET, conf)))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseSettings(body)
		if _, has := s.Value(ProxyARP); has && err == nil && len(body) < 12 {
			t.Errorf("a setting was read out of %d bytes", len(body))
		}
	})
}
