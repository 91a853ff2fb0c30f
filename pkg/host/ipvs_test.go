package host

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

var sameAddress = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// blobIPVS answers as IPVS's netlink family does: with the servers of a capture, and with the destinations that stand behind the question for them.
type blobIPVS struct {
	servers []nlMsg
	dests   map[string][]nlMsg // by the question
}

func newBlobIPVS(blob []byte) *blobIPVS {
	d := &blobIPVS{dests: map[string][]nlMsg{}}
	question := ""
	a := svcAnswer{list: true, fn: func(m nlMsg) error {
		switch {
		case len(m.Body) == 0:
		case m.Body[0] == ipvsGetDest:
			question = string(m.Body)
		case question == "":
			d.servers = append(d.servers, m)
		default:
			d.dests[question] = append(d.dests[question], m)
		}
		return nil
	}}
	a.take(blob)
	return d
}

func (d *blobIPVS) reader() *ipvsReader {
	return &ipvsReader{long: d, brief: d, family: unix.NLMSG_MIN_TYPE}
}

func (d *blobIPVS) exchange(_, flags uint16, body []byte, fn func(m nlMsg) error) error {
	list := d.dests[string(body)]
	if body[0] == ipvsGetService {
		if list = d.servers; flags == 0 {
			wanted, err := parseIPVSServer(nlMsg{Body: body})
			if err != nil {
				return err
			}
			i := slices.IndexFunc(list, func(m nlMsg) bool { s, err := parseIPVSServer(m); return err == nil && s.front == wanted.front })
			if i < 0 {
				return kernelErrno(unix.ESRCH)
			}
			list = list[i : i+1]
		}
	}
	for _, m := range list {
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

func TestIPVSServers(t *testing.T) {
	front := func(addr string, proto uint8) svcFront {
		a := netip.MustParseAddrPort(addr)
		return svcFront{a.Addr(), a.Port(), proto}
	}
	backends := func(list ...string) (out []facts.ServiceBackend) {
		for _, a := range list {
			out = append(out, facts.ServiceBackend{Addr: netip.MustParseAddrPort(a), Weight: 1})
		}
		return out
	}
	r := newBlobIPVS(captured(t, "ipvs-servers")).reader()
	count := 0
	err := r.each(func(*virtualServer) error { count++; return nil })
	if err != nil || count != 62 {
		t.Errorf("%d servers, %v; want 62", count, err)
	}
	for _, want := range []virtualServer{
		{front: front("10.96.1.4:80", unix.IPPROTO_TCP), backends: backends("10.244.9.1:8080", "10.244.9.2:8080")},
		{front: front("10.96.1.6:80", unix.IPPROTO_TCP)},
		{front: front("[fd00:96::107]:80", unix.IPPROTO_TCP), affinity: 77, backends: backends("[fd00:244::1:1]:8080", "[fd00:244::1:2]:8080", "[fd00:244::1:3]:8080", "[fd00:244::9:1]:8080", "[fd00:244::9:2]:8080")},
	} {
		got, err := r.find(want.front)
		if err != nil || got == nil {
			t.Errorf("find %s = %v, %v", want.front, got, err)
			continue
		}
		slices.SortFunc(got.backends, func(a, b facts.ServiceBackend) int { return a.Addr.Compare(b.Addr) })
		if len(got.backends) == 0 {
			got.backends = nil
		}
		if d := cmp.Diff(&want, got, cmp.AllowUnexported(virtualServer{}, svcFront{}), sameAddress); d != "" {
			t.Errorf("find %s (-want +got):\n%s", want.front, d)
		}
	}
	if got, err := r.find(front("10.96.1.4:80", unix.IPPROTO_UDP)); err != nil || got != nil {
		t.Errorf("find what does not exist = %v, %v; want nil", got, err)
	}
}

// goneIPVS is of a kernel in which one server is deleted after it was listed.
type goneIPVS struct {
	*blobIPVS
	gone []byte // its address
}

func (d goneIPVS) exchange(typ, flags uint16, body []byte, fn func(m nlMsg) error) error {
	if bytes.Contains(body, d.gone) {
		if flags == 0 {
			return kernelErrno(unix.ESRCH)
		}
		return nil
	}
	return d.blobIPVS.exchange(typ, flags, body, fn)
}

func TestIPVSGone(t *testing.T) {
	d := goneIPVS{newBlobIPVS(captured(t, "ipvs-servers")), []byte{10, 96, 1, 4}}
	count, empty := 0, 0
	err := (&ipvsReader{long: d, brief: d}).each(func(s *virtualServer) error {
		if count++; len(s.backends) == 0 {
			empty++
		}
		if s.front.addr == netip.AddrFrom4([4]byte{10, 96, 1, 4}) {
			t.Errorf("a server that is gone: %+v", s)
		}
		return nil
	})
	if err != nil || count != 61 || empty == 0 {
		t.Errorf("%d servers, %d without destinations, %v; want 61, some of them without", count, empty, err)
	}
}

// TestIPVSParse has what kube-proxy does not make, and what no kernel should tell.
func TestIPVSParse(t *testing.T) {
	message := func(attr uint16, inner []byte) nlMsg { return nlMsg{Body: appendAttr([]byte{1, 1, 0, 0}, attr, inner)} }
	family := func(typ, f uint16) []byte { return appendAttr(nil, typ, []byte{byte(f), 0}) }
	mark := appendAttr(family(ipvsServerAF, unix.AF_INET), 5, []byte{1, 0, 0, 0})
	if s, err := parseIPVSServer(message(ipvsAttrServer, mark)); err != nil || s.front.proto != 0 {
		t.Errorf("a server of a firewall mark = %+v, %v; want none", s, err)
	}
	other := appendAttr(family(ipvsDestFamily, unix.AF_INET6), ipvsDestAddr, netip.MustParseAddr("fd00::1").AsSlice())
	if b, err := parseIPVSDest(message(ipvsAttrDest, other), false); err != nil || b.Addr.Addr() != netip.MustParseAddr("fd00::1") {
		t.Errorf("a destination of another family = %+v, %v", b, err)
	}
	tcp := appendAttr(nil, ipvsServerProtocol, []byte{unix.IPPROTO_TCP, 0})
	for name, m := range map[string]nlMsg{
		"no address":  message(ipvsAttrServer, tcp),
		"cut":         {Body: []byte{1}},
		"short":       message(ipvsAttrServer, append(family(ipvsServerAF, unix.AF_INET6), appendAttr(tcp, ipvsServerAddr, []byte{1, 2, 3, 4})...)),
		"of no kind":  message(ipvsAttrServer+7, appendAttr(tcp, ipvsServerAddr, []byte{1, 2, 3, 4})),
		"destination": message(ipvsAttrDest, appendAttr(nil, ipvsDestAddr, []byte{1, 2, 3})),
	} {
		server, err := parseIPVSServer(m)
		if name == "of no kind" && err == nil && server.front.proto == 0 {
			err = errCut // it is left out
		}
		if _, failed := parseIPVSDest(m, false); err == nil && name != "destination" || failed == nil {
			t.Errorf("%s: %v, %v; want errors", name, err, failed)
		}
	}
}

// TestIPVSTree finds no IPVS where the kernel has none, and cannot tell where it should have it.
func TestIPVSTree(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "proc/net"), 0o755); err != nil {
		t.Fatal(err)
	}
	h, err := Open(Options{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if v, err := h.Node().IPVS(); err != nil || v.Present {
		t.Errorf("IPVS of a kernel without = %+v, %v; want it absent", v, err)
	}
	if err := os.Symlink("ip_vs", filepath.Join(root, "proc/net/ip_vs")); err != nil {
		t.Fatal(err)
	}
	if v, err := h.Node().IPVS(); err == nil {
		t.Errorf("IPVS = %+v where it cannot be seen; want an error", v)
	}
}

// lookIPVS looks a Service up among the servers of a capture, as audit does or as the CNI plugin does.
func lookIPVS(t *testing.T, h *Host, brief bool, s facts.ServiceIntent) facts.ServiceVIP {
	t.Helper()
	return inNS(t, h, func() (facts.ServiceVIP, error) {
		v := vipReader{ns: h.Node(), vs: newBlobIPVS(captured(t, "ipvs-servers")).reader(), brief: brief}
		defer v.close()
		if !brief {
			return v.look(facts.ModeIPVS, s)
		}
		found, sure, err := v.briefly(facts.ModeIPVS, s)
		if err == nil && !sure {
			err = errors.New("nobody can tell")
		}
		return found, err
	})
}

// TestLookIPVS has kube-ipvs0's addresses in a namespace, and a real kube-proxy's servers from a capture, since not every kernel has IPVS.
func TestLookIPVS(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("ip addr add 10.96.1.4/32 dev lo; ip addr add 10.96.1.6/32 dev lo; ip addr add fd00:96::107/128 dev lo")
	for _, tt := range []struct {
		name, vip, protocol string
		port                uint16
		found, noEndpoints  bool
	}{
		{"carried", "10.96.1.4", "tcp", 80, true, false},
		{"IPv6", "fd00:96::107", "tcp", 80, true, false},
		{"no destinations", "10.96.1.6", "tcp", 80, true, true},
		{"other port", "10.96.1.4", "tcp", 443, false, false},
		{"other protocol", "10.96.1.4", "udp", 80, false, false},
		{"no route", "10.96.1.5", "tcp", 80, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := facts.ServiceIntent{Name: kubernetesService, VIP: netip.MustParseAddr(tt.vip), Port: tt.port, Protocol: tt.protocol}
			for _, brief := range []bool{false, true} {
				got := lookIPVS(t, h, brief, s)
				if got.Found != tt.found || got.NoEndpoints != tt.noEndpoints || got.Detail == "" {
					t.Errorf("look, brief %v = %+v; want found %v, no endpoints %v", brief, got, tt.found, tt.noEndpoints)
				}
			}
		})
	}
	// kube-proxy has changed to iptables mode and nobody has cleaned up.
	sh("iptables-nft -t nat -N KUBE-SERVICES; iptables-nft -t nat -N KUBE-SVC-NPX46M4PTMTKRN6Y; iptables-nft -t nat -A KUBE-SERVICES -d 10.96.1.5/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-NPX46M4PTMTKRN6Y")
	left := facts.ServiceIntent{Name: kubernetesService, VIP: netip.MustParseAddr("10.96.1.5"), Port: 443, Protocol: "tcp"}
	if got := lookIPVS(t, h, true, left); !got.Found {
		t.Errorf("look = %+v where iptables mode carries the Service; want found", got)
	}
	// Only names are known: IPVS knows none.
	_, err := h.Node().ServiceVIPs(facts.ModeIPVS, []facts.ServiceIntent{{Name: kubernetesService, Port: 443, Protocol: "tcp", Source: SourceDefault}})
	if err == nil {
		t.Error("ServiceVIPs without an address in IPVS mode = nil; want an error")
	}
}
