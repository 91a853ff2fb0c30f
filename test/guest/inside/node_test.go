package inside

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/lab"
)

// sh runs a script on the guest itself.
func sh(t *testing.T, script string) string {
	t.Helper()
	out, err := lab.Shell(script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// undo runs a script at the end of the test: the guest itself has no namespace that goes away.
func undo(t *testing.T, script string) {
	t.Helper()
	t.Cleanup(func() { sh(t, script) })
}

// write makes a file of the guest.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// audit audits the guest as a person does without flags.
func audit(t *testing.T, args ...string) *lab.Report {
	t.Helper()
	return lab.Audit(t, args...)
}

// mend types the commands of the first fix of every finding that is at least a warning.
func mend(t *testing.T, r *lab.Report) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Severity == "info" {
			continue
		}
		if len(f.Fixes) == 0 {
			t.Fatalf("nothing mends %s\n%s", f.Check, r.Describe())
		}
		for _, c := range f.Fixes[0].Commands {
			t.Logf("typed: %s", c)
			sh(t, c)
		}
	}
}

// bridged makes the guest a node of Kubernetes with a bridge and pods.
func bridged(t *testing.T) (pods [2]*lab.NS) {
	t.Helper()
	undo(t, "rm -rf /etc/cni /opt/cni /etc/kubernetes /var/lib/kubelet")
	write(t, "/etc/cni/net.d/10-bridge.conflist", `{"name":"pods","cniVersion":"1.0.0","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,`+
		`"hairpinMode":true,"ipam":{"type":"host-local","subnet":"10.244.1.0/24"}}]}`)
	for _, plugin := range []string{"bridge", "host-local", "loopback"} {
		write(t, "/opt/cni/bin/"+plugin, "#!/bin/sh\n")
	}
	write(t, "/var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nclusterDNS: ["+lab.DNSAddress+"]\n")
	write(t, "/etc/kubernetes/manifests/kube-apiserver.yaml", "spec: {containers: [{command: [kube-apiserver, --service-cluster-ip-range="+lab.ServiceCIDR+"]}]}\n")
	sh(t, "sysctl -qw net.ipv4.ip_forward=1; ip link add cni0 type bridge; ip addr add 10.244.1.1/24 dev cni0; ip link set cni0 up")
	undo(t, "ip link del cni0")
	for i := range pods {
		p := lab.NewNS(t, "pod")
		dev := fmt.Sprintf("veth%d", i)
		sh(t, fmt.Sprintf("ip link add %s type veth peer name eth0 netns %s; ip link set %s up master cni0; bridge link set dev %s hairpin on", dev, p.Name, dev, dev))
		undo(t, "ip link del "+dev) // with its namespace it would go later: the kernel takes namespaces apart in a worker (cleanup_net)
		p.Sh(fmt.Sprintf("ip link set eth0 up; ip addr add 10.244.1.%d/24 dev eth0; ip route add default via 10.244.1.1", 2+i))
		pods[i] = p
	}
	return pods
}

// proxy runs the real kube-proxy on the guest against the API server outside of it, and waits for its rules.
func proxy(t *testing.T, mode, ready string) (stop func()) {
	t.Helper()
	sh(t, "modprobe nf_conntrack") // kube-proxy sets its sysctls and does not load it
	config := filepath.Join(t.TempDir(), "kube-proxy.yaml")
	if err := lab.WriteProxyConfig(config, "guest", mode, "10.0.2.2"); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(config + ".log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	var cmd *exec.Cmd
	var ended chan struct{}
	stop = func() {
		cmd.Process.Kill() // it may be gone already
		<-ended
	}
	t.Cleanup(func() { stop() })
	lab.WaitFor(t, 4*time.Minute, "kube-proxy", func() (bool, string) {
		select {
		case <-ended: // it panics now and then as it starts, and is started again, as kubelet does
			ended = nil
		default:
		}
		if ended == nil {
			cmd, ended = exec.Command("kube-proxy", "--config="+config), make(chan struct{})
			cmd.Stdout, cmd.Stderr = log, log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func(cmd *exec.Cmd, ended chan struct{}) {
				cmd.Wait() // how it ended is in its log
				close(ended)
			}(cmd, ended)
		}
		_, err := lab.Shell(ready)
		text, _ := os.ReadFile(log.Name())
		return err == nil, fmt.Sprintf("%v\n%s", err, text)
	})
	return stop
}

// cleanup removes what kube-proxy has left in any mode, faster than it does so itself, which takes the emulated processor a quarter of a minute.
func cleanup(t *testing.T) {
	t.Helper()
	sh(t, "nft flush ruleset; ipvsadm -C; ip link del kube-ipvs0 2>/dev/null || true")
	// A rule's matches are freed, and the sets that they hold with them, by a worker after the transaction (nf_tables_trans_destroy_work).
	lab.WaitFor(t, time.Minute, "the sets to be free", func() (bool, string) {
		_, err := lab.Shell("ipset destroy")
		return err == nil, fmt.Sprint(err)
	})
}
