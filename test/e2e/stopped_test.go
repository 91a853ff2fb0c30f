package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestKubeProxyNotReady stops a node's kube-proxy after it has run for so long that its absence counts.
func TestKubeProxyNotReady(t *testing.T) {
	t.Parallel()
	n := lab.NewNode(t, "node")
	n.Write("var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS: [%s]\n", lab.DNSAddress)
	n.Sh("iptables-nft -t nat -N KUBE-SERVICES; iptables-nft -t nat -N KUBE-SVC-AAAAAAAAAAAAAAAA; iptables-nft -t nat -A PREROUTING -j KUBE-SERVICES")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "kube-proxy") // the name is what a node is known to run it by
	if err := os.Symlink(sleep, program); err != nil {
		t.Fatal(err)
	}
	n.Agent("kubelet")
	proxy := n.Start(program, "infinity")
	young := func() string { // why the check does not judge; it is silent either way
		r := n.Audit("--check", "kube-proxy-not-ready").Want()
		for _, s := range r.Skipped {
			if s.Check == "kube-proxy-not-ready" && !s.Partial {
				return s.Reason
			}
		}
		return ""
	}
	lab.WaitFor(t, 20*time.Second, "kube-proxy to be seen", func() (bool, string) { return young() != "", "the check judges" })
	lab.WaitFor(t, settled+time.Minute, "kube-proxy to be old enough", func() (bool, string) {
		why := young()
		if why != "" {
			time.Sleep(time.Second) // an audit costs more than what is asked for here mostly does
		}
		return why == "", why
	})
	proxy.Stop()
	n.Audit("--check", "kube-proxy-not-ready").Want("critical kube-proxy-not-ready kube-proxy").Judged("kube-proxy-not-ready")
	n.Start(program, "infinity")
	lab.WaitFor(t, 20*time.Second, "kube-proxy to run again", func() (bool, string) {
		r := n.Audit("--check", "kube-proxy-not-ready")
		return len(r.Findings) == 0, r.Describe()
	})
}
