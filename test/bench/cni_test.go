package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	cniServices = 10_000
	cniPods     = 250
	cniRounds   = 300

	maxCNIRatio = 1.2
	maxCNITail  = 12 * time.Millisecond
	maxCNISize  = 8 << 20 // bytes of the stripped program
)

// BenchmarkCNIAdd runs whole processes of netmend's CNI plugin, all checks on and without a daemon, in turns with the tuning plugin of the reference plugins, on a node with many
// pods on a bridge, flannel's tunnel and the real kube-proxy's rules, first in iptables and then in nftables mode. With -short there are fewer Services.
func BenchmarkCNIAdd(b *testing.B) {
	program, tuning := cniPrograms(b)
	count := cniServices
	if testing.Short() {
		count = 500
	}
	c := lab.NewCluster(b)
	c.Load(count, 1)
	for i, mode := range []string{"iptables", "nftables"} {
		n := c.Join(mode)
		pod, conf := cniNode(b, n, i)
		c.Proxy(n, mode)
		ask := map[string]string{"iptables": "iptables-nft-save -t nat | grep -c '^:KUBE-SVC-' || true", "nftables": "nft list map ip kube-proxy service-ips | grep -o goto | wc -l"}[mode]
		lab.WaitFor(b, 10*time.Minute, "kube-proxy to write all rules", func() (bool, string) {
			time.Sleep(time.Second)
			got, err := strconv.Atoi(strings.TrimSpace(n.Sh(ask)))
			return err == nil && got >= count, fmt.Sprintf("%d of %d Services", got, count)
		})
		quiet(b)
		benchCNI(b, n, mode, program, tuning, pod, conf, count)
	}
}

// cniPrograms makes the two programs, netmend's stripped, and looks at its size. Both are copied, as an installer does: a linker writes through a mapping, and what it
// wrote stays in the page cache in single pages, which take a process longer to map than those of a file that was written or read in one go.
func cniPrograms(b *testing.B) (netmend, tuning string) {
	b.Helper()
	dir := b.TempDir()
	built := filepath.Join(dir, "built")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", built, "./plugins/netmend")
	build.Dir, build.Env = lab.Source(), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v: %s", err, out)
	}
	copied := func(from, name string) string {
		data, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o755)
		}
		if err != nil {
			b.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	st, err := os.Stat(built)
	if err != nil {
		b.Fatal(err)
	}
	ratio(b, "cni-binary-size", float64(st.Size())/maxCNISize, 1, fmt.Sprintf("%.1f MiB, of %d MiB", float64(st.Size())/(1<<20), maxCNISize>>20))
	return copied(built, "netmend"), copied(filepath.Join(lab.Cache(b, "cni"), "tuning"), "tuning")
}

// cniNode fills a node and gives a pod with the configuration that netmend gets for it.
func cniNode(b *testing.B, n *lab.Node, number int) (pod *lab.NS, stdin []byte) {
	subnet := fmt.Sprintf("10.244.%d", 240+number)
	list := fmt.Sprintf(`{"cniVersion":"1.1.0","name":"pods","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"hairpinMode":true,"mtu":1450,`+
		`"ipam":{"type":"host-local","subnet":"%s.0/24"}},{"type":"tuning"},{"type":"netmend"}]}`, subnet)
	n.Write("etc/cni/net.d/10-pods.conflist", "%s", list)
	n.Write("var/lib/kubelet/config.yaml", "clusterDNS: [%s]\n", lab.DNSAddress)
	n.Sh("ip link add cni0 type bridge; ip addr add " + subnet + ".1/24 dev cni0; ip link set cni0 up")
	n.Sh("ip link add flannel.1 type vxlan id 1 local $(ip -4 -br addr show eth0 | awk '{print $3}' | cut -d/ -f1) dev eth0 dstport 8472 nolearning; ip link set flannel.1 mtu 1450 up; ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink")
	others := n.Pod("others")
	var script strings.Builder
	for i := range cniPods - 1 {
		fmt.Fprintf(&script, "link add veth%d type veth peer name p%d netns %s\nlink set veth%d mtu 1450 up master cni0\n", i, i, others.Name, i)
	}
	pod = n.Pod("pod")
	fmt.Fprintf(&script, "link add vethpod mtu 1450 type veth peer name eth0 mtu 1450 netns %s\nlink set vethpod up master cni0\n", pod.Name)
	cmd := n.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(script.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("make pods: %v: %s", err, out)
	}
	n.Sh("bridge link set dev vethpod hairpin on")
	pod.Sh("ip link set eth0 up; ip addr add " + subnet + ".9/24 dev eth0; ip route add default via " + subnet + ".1")
	n.Write("var/lib/cni/networks/pods/"+subnet+".9", "box\r\neth0")
	result := map[string]any{
		"cniVersion": "1.1.0", "interfaces": []map[string]any{{"name": "cni0"}, {"name": "vethpod"}, {"name": "eth0", "sandbox": pod.Path, "mtu": 1450}},
		"ips": []map[string]any{{"interface": 2, "address": subnet + ".9/24", "gateway": subnet + ".1"}}, "routes": []map[string]any{{"dst": "0.0.0.0/0"}},
	}
	stdin, err := json.Marshal(map[string]any{"cniVersion": "1.1.0", "name": "pods", "type": "netmend", "prevResult": result})
	if err != nil {
		b.Fatal(err)
	}
	return pod, stdin
}

func benchCNI(b *testing.B, n *lab.Node, mode, program, tune string, pod *lab.NS, conf []byte, count int) {
	var netmend, tuning []run
	tuningConf := bytes.Replace(conf, []byte(`"type":"netmend"`), []byte(`"type":"tuning","sysctl":{"net.core.somaxconn":"500"}`), 1) // the job of its README
	once := func(program string, conf []byte) run {
		cmd := exec.Command(program)
		cmd.Stdin = bytes.NewReader(conf)
		var out bytes.Buffer
		cmd.Stdout = &out
		cmd.Env = []string{"CNI_COMMAND=ADD", "CNI_CONTAINERID=box", "CNI_IFNAME=eth0", "CNI_NETNS=" + pod.Path, "CNI_PATH=/opt/cni/bin", "PATH=" + os.Getenv("PATH")}
		r := measure(b, cmd)
		if !strings.Contains(out.String(), "vethpod") {
			b.Fatalf("%s: %s", program, out.String())
		}
		return r
	}
	err := n.Do(func() error { // a thread in the node's namespaces, so that the program and nothing else is measured
		err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		for _, dir := range []string{"/etc", "/var"} {
			err = errors.Join(err, unix.Mount(n.Root+dir, dir, "", unix.MS_BIND, ""))
		}
		if err != nil {
			return err
		}
		for range 20 {
			once(program, conf)
			once(tune, tuningConf)
		}
		for range cniRounds {
			netmend = append(netmend, once(program, conf))
			tuning = append(tuning, once(tune, tuningConf))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	byWall := func(a, b run) int { return int(a.wall - b.wall) }
	slices.SortFunc(netmend, byWall)
	slices.SortFunc(tuning, byWall)
	at := func(runs []run, part float64) time.Duration { return runs[int(part*float64(len(runs)-1))].wall }
	how := fmt.Sprintf("%s mode, %d Services, %d pods: ADD %.2f ms, p99 %.2f ms; tuning %.2f ms, p99 %.2f ms (%d in turns)", mode, count, cniPods,
		ms(at(netmend, 0.5)), ms(at(netmend, 0.99)), ms(at(tuning, 0.5)), ms(at(tuning, 0.99)), cniRounds)
	name := "cni-add-vs-tuning"
	if mode != "iptables" {
		name += "-" + mode
	}
	hold := func(name string, value, limit float64, how string) { ratio(b, name, value, limit, how) }
	if at(tuning, 0.99) > maxCNITail { // the machine has so much other work that this says nothing of the two programs
		hold = goal
	}
	hold(name, float64(median(netmend))/float64(median(tuning)), maxCNIRatio, how)
	hold(name+"-p99", float64(at(netmend, 0.99))/float64(maxCNITail), 1, fmt.Sprintf("p99 %.2f ms, of %.0f ms", ms(at(netmend, 0.99)), ms(maxCNITail)))
}
