package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	idleServices = 10_000
	idlePods     = 250
	idleLength   = 10 * time.Minute

	maxIdleShare    = 0.002    // of one processor
	maxIdleResident = 40 << 10 // KiB
	clockTick       = 10 * time.Millisecond
)

// BenchmarkDaemonIdle lets netmendd look after a node with many pods and Services on which nothing happens, beside node-problem-detector with its checks of the
// network, and measures what both take of the processors, with the programs that they start, and of memory. With -short the node is smaller, and less time passes.
func BenchmarkDaemonIdle(b *testing.B) {
	services, pods, length := idleServices, idlePods, idleLength
	if testing.Short() {
		services, pods, length = 500, 50, time.Minute
	}
	program := filepath.Join(b.TempDir(), "netmendd")
	if err := lab.Build(program, "./cmd/netmendd"); err != nil {
		b.Fatal(err)
	}
	npd := lab.Cache(b, "npd")
	c := lab.NewCluster(b)
	n := c.Join("idle")
	c.Proxy(n, "iptables") // it is slow to write all at once
	c.Load(services, 1)
	n.Write("var/lib/kubelet/config.yaml", "clusterDNS: [%s]\n", lab.DNSAddress)
	n.Write("etc/cni/net.d/10-bridge.conflist", `{"name":"pods","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipam":{"type":"host-local","subnet":"10.244.0.0/16"}}]}`)
	for _, plugin := range []string{"bridge", "host-local"} {
		n.Program("opt/cni/bin/" + plugin)
	}
	n.Sh("ip link add cni0 type bridge; ip addr add 10.244.0.1/16 dev cni0; ip link set cni0 up")
	n.Sh("ip link add flannel.1 type vxlan id 1 local $(ip -4 -br addr show eth0 | awk '{print $3}' | cut -d/ -f1) dev eth0 dstport 8472 nolearning; ip link set flannel.1 mtu 1450 up")
	for i := range pods {
		address := fmt.Sprintf("10.244.%d.%d", 1+i/250, 1+i%250)
		n.BridgePod("cni0", fmt.Sprintf("veth%d", i), 1450, address+"/16", "10.244.0.1")
		n.Write("var/lib/cni/networks/pods/"+address, "box%d\r\neth0", i)
	}
	lab.WaitFor(b, 10*time.Minute, "kube-proxy to write all rules", func() (bool, string) {
		time.Sleep(time.Second)
		got, err := strconv.Atoi(strings.TrimSpace(n.Sh("iptables-nft-save -t nat | grep -c '^:KUBE-SVC-' || true")))
		return err == nil && got >= services, fmt.Sprintf("%d of %d Services", got, services)
	})
	run, err := os.MkdirTemp("/tmp", "nmb") // the path of a socket is short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(run) })
	state := filepath.Join(run, "node-state")
	for range runtime.NumCPU() {
		n.Start("chrt", "--idle", "0", "sh", "-c", "while :; do :; done") // see restedPage
	}
	mend := n.Start(program, "--root", n.Root, "--socket", filepath.Join(run, "s"), "--node-state", state)
	lab.WaitFor(b, 2*time.Minute, "netmendd to be ready", func() (bool, string) {
		data, err := os.ReadFile(state)
		return strings.Contains(string(data), `"ready":true`), fmt.Sprintf("%s %v", data, err)
	})
	peer := n.Start("sh", "-ec", `cd "$0"; exec ./nodeproblemdetector --logtostderr --enable-k8s-exporter=false --prometheus-port=20257 --port=0 `+
		`--config.custom-plugin-monitor=config/network-problem-monitor.json --config.system-stats-monitor=config/net-cgroup-system-stats-monitor.json`, npd)
	time.Sleep(20 * time.Second) // both have begun
	if !peer.Running() || !mend.Running() {
		data, err := os.ReadFile(peer.Log)
		b.Fatalf("netmendd runs: %v, node-problem-detector: %v: %s %v", mend.Running(), peer.Running(), data, err)
	}
	mend1, peer1, start := used(b, mend), used(b, peer), time.Now()
	time.Sleep(length)
	took := time.Since(start)
	mend2, peer2 := used(b, mend), used(b, peer)
	rested := restedPage(b)
	share := func(from, to usage) float64 { return float64(to.time-from.time) / float64(took) }
	how := fmt.Sprintf("%d pods, %d Services, %s in which nothing happens: ", pods, services, took.Round(time.Second))
	fmt.Printf("daemon-idle-page: memory that has rested for %s takes %.2f µs a page to touch; what has not %.2f µs\n", rest, us(rested[0]), us(rested[1]))
	idle := func(value float64, text string) { goal("daemon-idle-cpu", value, 1, text) } // see restedPage
	if rested[0] < mostRested {
		idle = func(value float64, text string) { ratio(b, "daemon-idle-cpu", value, 1, text) }
	}
	idle(share(mend1, mend2)/maxIdleShare, how+fmt.Sprintf("%.3f %% of a processor, of %.1f %%; node-problem-detector %.3f %%",
		100*share(mend1, mend2), 100*maxIdleShare, 100*share(peer1, peer2)))
	ratio(b, "daemon-idle-resident", float64(mend2.resident)/maxIdleResident, 1, how+fmt.Sprintf("%.1f MiB resident at the end, %.1f MiB at most, of %d MiB; node-problem-detector %.1f MiB",
		float64(mend2.resident)/1024, float64(mend2.most)/1024, maxIdleResident>>10, float64(peer2.resident)/1024))
	goal("daemon-idle-cpu-vs-npd", share(mend1, mend2)/max(share(peer1, peer2), float64(clockTick)/float64(took)), 1,
		"netmendd's share of a processor, as a part of node-problem-detector's, which looks at one value of /proc every 30 seconds")
	goal("daemon-idle-resident-vs-npd", float64(mend2.resident)/float64(peer2.resident), 1, "netmendd's resident memory, as a part of node-problem-detector's")
}

const (
	rest       = 5 * time.Second
	mostRested = 500 * time.Nanosecond
)

// restedPage measures what it takes to touch a page of memory that nobody has touched for a while, and one that somebody just has. On a machine of its own both are
// less than a tenth of a microsecond. Some hypervisors take a guest's memory away when it halts, and give it back at 40 µs a page, which the guest counts as work of
// whoever wanted it: then a daemon's share of the processor tells of the machine. That is why the processors are kept awake, and why there the limit fails nothing.
func restedPage(b *testing.B) (took [2]time.Duration) {
	b.Helper()
	const pages = 1000
	memory := make([]byte, pages*os.Getpagesize())
	touch := func() time.Duration {
		start := time.Now()
		for i := 0; i < len(memory); i += os.Getpagesize() {
			memory[i]++
		}
		return time.Since(start) / pages
	}
	touch()
	time.Sleep(rest)
	return [2]time.Duration{touch(), touch()}
}

func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// usage is what a process has used until now, with the programs that it has started and that have ended.
type usage struct {
	time           time.Duration
	resident, most int64 // KiB
}

func used(b *testing.B, p *lab.Process) (u usage) {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		b.Fatal(err)
	}
	words := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, w := range words[11:15] { // utime, stime, cutime, cstime of proc_pid_stat(5)
		ticks, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		u.time += time.Duration(ticks) * clockTick
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		for key, to := range map[string]*int64{"VmRSS:": &u.resident, "VmHWM:": &u.most} {
			if v, ok := strings.CutPrefix(line, key); ok {
				if _, err := fmt.Sscan(v, to); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return u
}
