package inside

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	rulesEndpoints = 5
	rulesRounds    = 3
	rulesLimit     = 1.0
	rulesGrowth    = 5.5
)

// BenchmarkServiceRulesIPVS reads what a node in IPVS mode holds for Services, a few and many, and compares it with what the cluster wants, beside ipvsadm -Ln, in
// turns. Program rules is that of package bench and wants the Services that are made here.
func BenchmarkServiceRulesIPVS(b *testing.B) {
	if _, err := lab.Shell("modprobe ip_vs_rr; modprobe nf_conntrack"); err != nil {
		b.Fatal(err)
	}
	var work []time.Duration
	for _, count := range []int{2_000, 10_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) { work = append(work, serviceRules(b, count)) })
	}
	if len(work) == 2 {
		growth := float64(work[1]) / float64(work[0])
		fmt.Printf("\nratio service-rules-ipvs-growth %.3f\n  five times as many Services take the processors %d ms instead of %d ms; at most %.2f\n",
			growth, work[1].Milliseconds(), work[0].Milliseconds(), rulesGrowth)
		if growth > rulesGrowth {
			b.Errorf("growth %.3f", growth)
		}
	}
}

// serviceRules measures one number of Services, and gives the time that the processors need.
func serviceRules(b *testing.B, count int) time.Duration {
	ns := lab.NewNS(b, "rules")
	loadServers(b, ns, count)
	defer ns.Sh("ipvsadm -C") // a namespace that is deleted lives on for a while, and its servers disturb the list of the next
	var ours, theirs, busy []time.Duration
	resident := int64(0)
	for range rulesRounds {
		var wall, used, differences, kib, again int64
		cmd := exec.Command("rules", ns.Path, "ipvs", fmt.Sprint(count), fmt.Sprint(rulesEndpoints))
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err == nil {
			_, err = fmt.Sscan(string(out), &wall, &used, &differences, &kib, &again)
		}
		if err != nil || differences != 0 {
			b.Fatalf("rules printed %q: %v: %s; want no differences", out, err, errs.String())
		}
		ours, busy, resident = append(ours, time.Duration(wall)), append(busy, time.Duration(used)), max(resident, kib)
		err = ns.Do(func() error {
			start := time.Now()
			defer func() { theirs = append(theirs, time.Since(start)) }()
			return exec.Command("ipvsadm", "-Ln").Run()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	ratio := float64(middle(ours)) / float64(middle(theirs))
	fmt.Printf("\nratio service-rules-ipvs-%d %.3f\n  read and compared %d ms, ipvsadm -Ln %d ms (medians of %d in turns); at most %.2f\n",
		count, ratio, middle(ours).Milliseconds(), middle(theirs).Milliseconds(), rulesRounds, rulesLimit)
	fmt.Printf("\nratio service-rules-ipvs-%d-resident %.3f\n  %.1f MiB resident at most, of 64 MiB; at most 1.00\n", count, float64(resident)/(64<<10), float64(resident)/1024)
	if ratio > rulesLimit || resident > 64<<10 {
		b.Errorf("%d Services: ratio %.3f, %d KiB resident", count, ratio, resident)
	}
	return middle(busy)
}

func middle(list []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

// loadServers makes virtual servers and what else kube-proxy makes of Services in IPVS mode, at once: for so many it takes long itself.
func loadServers(b *testing.B, ns *lab.NS, count int) {
	b.Helper()
	numbers := rand.New(rand.NewPCG(1, 2)).Perm(count)
	var set bytes.Buffer
	fmt.Fprintln(&set, "create KUBE-CLUSTER-IP hash:ip,port maxelem 65536")
	err := ns.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, s := range numbers {
			vip := [4]byte{10, 96, byte(10 + s/200), byte(1 + s%200)}
			fmt.Fprintf(&set, "add KUBE-CLUSTER-IP %d.%d.%d.%d,tcp:80\n", vip[0], vip[1], vip[2], vip[3])
			server := serverUser(vip)
			if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, ipvsAdd, string(server)); err != nil {
				return fmt.Errorf("virtual server %v: %w", vip, err)
			}
			for e := range rulesEndpoints {
				n := s*rulesEndpoints + e
				to := destUser([4]byte{10, 244, byte(2 + n/250), byte(2 + n%250)})
				if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, ipvsAddDest, string(append(slices.Clip(server), to...))); err != nil {
					return fmt.Errorf("destination of %v: %w", vip, err)
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []struct {
		name, input string
		args        []string
	}{
		{"ipset", set.String(), []string{"restore"}},
		{"iptables-restore", strings.Join([]string{
			"*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-MARK-MASQ - [0:0]", "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
			"-A KUBE-SERVICES ! -s 10.244.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ",
			"-A KUBE-SERVICES -m set --match-set KUBE-CLUSTER-IP dst,dst -j ACCEPT", "COMMIT", "",
		}, "\n"), nil},
	} {
		cmd := ns.Command(p.name, p.args...)
		cmd.Stdin = strings.NewReader(p.input)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v: %s", p.name, err, out)
		}
	}
}

// linux/ip_vs.h: IP_VS_SO_SET_ADD and IP_VS_SO_SET_ADDDEST.
const (
	ipvsAdd     = 64 + 1024 + 64 + 2
	ipvsAddDest = 64 + 1024 + 64 + 7
)

// serverUser is struct ip_vs_service_user of port 80/tcp with scheduler rr.
func serverUser(vip [4]byte) []byte {
	u := make([]byte, 44)
	binary.NativeEndian.PutUint16(u, unix.IPPROTO_TCP)
	copy(u[4:], vip[:])
	binary.BigEndian.PutUint16(u[8:], 80)
	copy(u[16:], "rr")
	binary.BigEndian.PutUint32(u[40:], 0xffffffff) // the netmask of persistence
	return u
}

// destUser is struct ip_vs_dest_user with port 80, weight 1 and translation (IP_VS_CONN_F_MASQ, 0).
func destUser(addr [4]byte) []byte {
	u := make([]byte, 24)
	copy(u, addr[:])
	binary.BigEndian.PutUint16(u[4:], 80)
	binary.NativeEndian.PutUint32(u[12:], 1)
	return u
}
