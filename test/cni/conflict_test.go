package cni

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestConflict gives a second pod on the bridge the first one's addresses.
func TestConflict(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	bridge, netmend := plugins(t)
	pod, other := lab.NewNS(t, "pod"), lab.NewNS(t, "other")
	result := n.must(n.run(call{plugin: "bridge", command: "ADD", pod: pod}, bridge)).out
	netmend["prevResult"], netmend["detectConflict"], netmend["checks"] = json.RawMessage(result), true, map[string]any{"duplicate-ip-lan": "enforce"}
	netmend["timeout"] = "10s"
	add := call{plugin: "netmend", command: "ADD", pod: pod}
	lab.Veth(n.NS, "vother", other, "eth0")
	n.Sh("ip link set vother master cni0")
	if o := n.must(n.run(add, netmend)); len(o.err) > 0 {
		t.Errorf("nobody else is there, and yet: %s", o.err)
	}
	for _, a := range addresses(t, result) {
		other.Sh("ip addr add " + a + " dev eth0" + map[bool]string{true: " nodad"}[strings.Contains(a, "::")])
	}
	stop := listen(t, other)
	o := n.run(add, netmend)
	if o.fail == nil || o.fail.Code != 117 {
		t.Fatalf("%s; want code 117", o.fail)
	}
	if cache := other.Sh("ip neigh") + n.Sh("ip neigh show dev cni0"); strings.Contains(cache, strings.TrimSpace(pod.Sh("cat /sys/class/net/eth0/address"))) {
		t.Errorf("a cache has learned the pod's MAC: %s", cache)
	}
	asked := stop()
	for _, a := range addresses(t, result) {
		times := asked[netip.MustParsePrefix(a).Addr()]
		if len(times) != 3 {
			t.Errorf("%s is asked for %d times, by nobody; want 3", a, len(times))
			continue
		}
		for i := range 2 {
			if gap := times[i+1].Sub(times[i]); gap < 25*time.Millisecond {
				t.Errorf("%s is asked for again after %s; want 30 ms", a, gap)
			}
		}
	}
}

// listen notes when the link eth0 of a namespace is asked who has an address, by one that has none yet: ARP from 0.0.0.0 (RFC 5227), neighbour solicitation
// from :: (RFC 4862).
func listen(t *testing.T, ns *lab.NS) (stop func() map[netip.Addr][]time.Time) {
	t.Helper()
	fd := -1
	err := ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 300000}); err != nil {
		t.Fatal(err)
	}
	asked := map[netip.Addr][]time.Time{}
	var ended sync.WaitGroup
	done := make(chan struct{})
	ended.Go(func() {
		defer unix.Close(fd)
		frame, oob := make([]byte, 2000), make([]byte, 100)
		for {
			n, m, _, _, err := unix.Recvmsg(fd, frame, oob, 0)
			if err == unix.EINTR {
				continue
			}
			if err != nil { // the time is up: what has been sent by now has been read
				select {
				case <-done:
					return
				default:
					continue
				}
			}
			if a, ok := askedFor(frame[:n]); ok {
				asked[a] = append(asked[a], stamp(oob[:m]))
			}
		}
	})
	return func() map[netip.Addr][]time.Time {
		close(done)
		ended.Wait()
		return asked
	}
}

// askedFor is the address that a frame asks for on behalf of nobody.
func askedFor(frame []byte) (netip.Addr, bool) {
	switch {
	case len(frame) >= 42 && frame[12] == 0x08 && frame[13] == 0x06 && frame[21] == 1 && bytes.Equal(frame[28:32], make([]byte, 4)):
		return netip.AddrFromSlice(frame[38:42])
	case len(frame) >= 78 && frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == unix.IPPROTO_ICMPV6 && frame[54] == 135 && bytes.Equal(frame[22:38], make([]byte, 16)):
		return netip.AddrFromSlice(frame[62:78])
	}
	return netip.Addr{}, false
}

// stamp is when the kernel got a frame.
func stamp(oob []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return time.Time{}
	}
	data := messages[0].Data
	return time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
}
