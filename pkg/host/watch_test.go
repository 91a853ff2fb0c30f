package host

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

func linkMessage(family byte, index, change uint32, attrs ...[]byte) []byte {
	b := make([]byte, unix.SizeofIfInfomsg)
	b[0] = family
	binary.NativeEndian.PutUint32(b[4:], index)
	binary.NativeEndian.PutUint32(b[12:], change)
	return append(b, slices.Concat(attrs...)...)
}

func linkKind(kind string) []byte {
	return appendAttr(nil, unix.IFLA_LINKINFO, appendAttr(nil, unix.IFLA_INFO_KIND, []byte(kind)))
}

func watchMessages() map[string]nlMsg {
	number := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	name := appendAttr(nil, unix.IFLA_IFNAME, []byte("a\x1b[31m\x00"))
	netconf := func(types ...uint16) []byte {
		b := []byte{unix.AF_INET, 0, 0, 0}
		for _, typ := range types {
			b = appendAttr(b, typ, number(1))
		}
		return b
	}
	return map[string]nlMsg{
		"tunnel": {Type: unix.RTM_NEWLINK, Body: linkMessage(0, 5, math.MaxUint32, name, linkKind("vxlan"))},
		"features": {
			Type: unix.RTM_NEWLINK, Body: linkMessage(0, 5, 0, linkKind("vxlan"), appendAttr(nil, unix.IFLA_EVENT, number(unix.IFLA_EVENT_FEATURES))),
		},
		"pod": {
			Type: unix.RTM_NEWLINK, Body: linkMessage(0, 6, 0, linkKind("veth"), appendAttr(nil, unix.IFLA_LINK_NETNSID, number(0))),
		},
		"gone":       {Type: unix.RTM_DELLINK, Body: linkMessage(0, 5, math.MaxUint32, linkKind("vxlan"))},
		"port":       {Type: unix.RTM_NEWLINK, Body: linkMessage(unix.AF_BRIDGE, 7, 0)},
		"address":    {Type: unix.RTM_NEWADDR, Body: make([]byte, unix.SizeofIfAddrmsg)},
		"route":      {Type: unix.RTM_NEWROUTE, Body: []byte{2, 0, 0, 0, 254, 0, 0, unix.RTN_UNICAST, 0, 0, 0, 0}},
		"multicast":  {Type: unix.RTM_NEWROUTE, Body: []byte{10, 0, 0, 0, 254, 0, 0, unix.RTN_MULTICAST, 0, 0, 0, 0}},
		"rule":       {Type: unix.RTM_DELRULE},
		"switch":     {Type: unix.RTM_NEWNETCONF, Body: netconf(1, 2)},
		"new device": {Type: unix.RTM_NEWNETCONF, Body: netconf(1, 2, 3, 5)},
		"generation": {
			Type: nftMsg(unix.NFT_MSG_NEWGEN), Body: appendAttr(make([]byte, nfgenmsgLen), unix.NFTA_GEN_PROC_NAME, []byte("kube-proxy\x00")),
		},
		"short":     {Type: unix.RTM_NEWLINK, Body: []byte{1}},
		"attribute": {Type: unix.RTM_NEWLINK, Body: linkMessage(0, 5, 0, []byte{255, 255, 1, 0})},
		"unknown":   {Type: 999},
	}
}

// TestWatchMessages holds what cannot be made to happen in a namespace, or whose every bit is to be seen.
func TestWatchMessages(t *testing.T) {
	messages := watchMessages()
	all := []facts.Kind{
		facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindAddresses, facts.KindRoutes, facts.KindRules, facts.KindFeatures, facts.KindSysctls,
	}
	for _, tt := range []struct {
		name       string
		kinds      []facts.Kind
		pods, lost bool
		cause      string
	}{
		{
			name: "tunnel", kinds: []facts.Kind{facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindFeatures, facts.KindSysctls},
			cause: `link "a\x1b[31m"`,
		},
		{name: "features", kinds: []facts.Kind{facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindFeatures}, cause: "link "},
		{name: "pod", kinds: []facts.Kind{facts.KindLinks, facts.KindPodLinks}, pods: true, cause: "pod link "},
		{name: "gone", kinds: []facts.Kind{facts.KindLinks, facts.KindTunnels, facts.KindPodLinks, facts.KindSysctls}, cause: "link "},
		{name: "port", kinds: []facts.Kind{facts.KindLinks, facts.KindPodLinks}, cause: "bridge port "},
		{name: "address", kinds: []facts.Kind{facts.KindAddresses}, cause: "address"},
		{name: "route", kinds: []facts.Kind{facts.KindRoutes}, cause: "route"},
		{name: "multicast"},
		{name: "rule", kinds: []facts.Kind{facts.KindRules}, cause: "rule"},
		{name: "switch", kinds: []facts.Kind{facts.KindSysctls}, cause: "sysctl"},
		{name: "new device"},
		{name: "short", kinds: all, pods: true, lost: true, cause: "netlink message"},
		{name: "attribute", kinds: all, pods: true, lost: true, cause: "netlink message"},
		{name: "unknown"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, c := newRouteWatch(nil), &changes{}
			r.message(messages[tt.name], c)
			got := c.take()
			if !slices.Equal(got.Kinds, tt.kinds) || got.Pods != tt.pods || got.Lost != tt.lost || got.Cause != tt.cause {
				t.Errorf("%+v; want %+v", got, tt)
			}
		})
	}
	t.Run("generation", func(t *testing.T) {
		c := &changes{}
		(&nftWatch{}).message(messages["generation"], c)
		got := c.take()
		if want := "nftables by kube-proxy"; got.Cause != want || !slices.Contains(got.Kinds, facts.KindNFTables) {
			t.Errorf("%+v; want nftables, %q", got, want)
		}
	})
}

func TestCausesBounded(t *testing.T) {
	c := &changes{}
	for _, name := range []string{"a", "b", "b", "c", "d", "e"} {
		c.cause("link", name)
	}
	if got, want := c.take().Cause, "link a, link b, link c, others"; got != want {
		t.Errorf("Cause = %q; want %q", got, want)
	}
}

func FuzzWatchNetlink(f *testing.F) {
	for _, m := range watchMessages() {
		f.Add(appendMessage(nil, m.Type, 0, 0, 0, m.Body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, c := newRouteWatch(nil), &nftWatch{}, &changes{}
		eachMessage(b, func(m nlMsg) {
			r.message(m, c)
			n.message(m, c)
		})
		got := c.take()
		if len(got.Links) > len(b)/unix.SizeofIfInfomsg || len(r.podEnds) > len(b)/unix.SizeofIfInfomsg || len(got.Cause) > 4*4*(len(b)+64) {
			t.Errorf("%d bytes give %+v", len(b), got)
		}
		if strings.ContainsFunc(got.Cause, func(r rune) bool { return r < ' ' }) {
			t.Errorf("Cause = %q; want what a terminal can show", got.Cause)
		}
	})
}

func FuzzWatchFiles(f *testing.F) {
	event := func(wd int32, mask uint32, name string) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
		b = binary.NativeEndian.AppendUint32(b, mask)
		b = binary.NativeEndian.AppendUint32(b, 0)
		b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
		return append(b, name...)
	}
	f.Add(event(1, unix.IN_CREATE, "10-a.conf\x00\x00\x00"))
	f.Add(slices.Concat(event(1, unix.IN_IGNORED, ""), event(2, unix.IN_CREATE|unix.IN_ISDIR, "cni\x00"), event(-1, unix.IN_Q_OVERFLOW, "")))
	f.Add(event(1, 0, "x")[:15])
	dir := &watchedDir{path: "/etc/cni/net.d", wants: suffixes(".conf"), kinds: []facts.Kind{facts.KindCNIConfig}}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := newFileWatch(nil)
		w.watches = map[int32]*watched{1: {dirs: []*watchedDir{dir}}, 2: {steps: map[string][]*watchedDir{"cni": {dir}}}}
		c := &changes{}
		eachFileEvent(b, func(e fileEvent) { w.event(e, c) })
		if got := c.take().Cause; strings.ContainsFunc(got, func(r rune) bool { return r < ' ' }) {
			t.Errorf("Cause = %q; want what a terminal can show", got)
		}
	})
}
