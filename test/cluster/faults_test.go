package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

// testFaults has netmend in mode audit see faults on the first node: what it and the plugin say is what kubectl shows of the node and of a new pod. They stay.
func (c *cluster) testFaults() {
	c.install("upgrade", "audit")
	w := c.workers[0]
	c.untilReport(w, "that it changes nothing", func(r *nodereport.Report) string {
		if r.Status.Mode != "audit" {
			return "mode " + r.Status.Mode
		}
		return ""
	})

	w.Sh("ip link set flannel.1 mtu 1400")
	c.untilReport(w, "that the tunnel is too small for pods", func(r *nodereport.Report) string { return has(r, "pod-mtu-mismatch", check.Warning) })
	c.untilDescribed("node", w.Name, "NetworkFaultFound", "pod-mtu-mismatch")
	c.pod(w, "warned")
	c.untilDescribed("pod", "warned", "PodNetworkWarned", "pod-mtu-mismatch", "1450", "1400")
	c.must("delete", "pod", "warned", "--wait")
	w.Sh("ip link set flannel.1 mtu 1450")
	c.untilDescribed("node", w.Name, "NetworkFaultGone")

	w.Sh("sysctl -qw net.ipv4.ip_forward=0")
	c.untilCondition(w, "True NetworkFaulty")
	c.untilDescribed("node", w.Name, "NetworkMisconfigured", "ip-forward")
	c.untilReport(w, "that it does not forward", func(r *nodereport.Report) string {
		if r.Status.State != status.Faulty || r.Status.Critical != 1 {
			return "it is not faulty by one critical finding"
		}
		return has(r, "ip-forward", check.Critical)
	})
	c.t.Log(c.must("get", "nnr"))
	c.untilCondition(c.workers[1], "False NetworkProven")
	if got := w.Sh("sysctl -n net.ipv4.ip_forward"); got != "0\n" {
		c.t.Errorf("in mode audit ip_forward became %s", got)
	}
}

// leak are the rules of an old kube-proxy, which masquerades packets to Services and leaves its mark on those of the tunnel that carry them.
const leak = `iptables-nft -w -t nat -%s OUTPUT -d 10.244.1.0/24 -p tcp -j MARK --or-mark 0x4000
iptables-nft -w -t nat -%s POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully`

// slow is how long a connection takes whose first packet is lost: the kernel sends it again after a second.
const slow = 900 * time.Millisecond

// testChecksums has the first node send packets with bad checksums, which the second one drops: who it is that sends them is seen in the cluster alone.
func (c *cluster) testChecksums() {
	sender, receiver := c.workers[0], c.workers[1]
	sender.Sh(fmt.Sprintf(leak, "I", "I"))
	before := receiver.Counter("Udp", "InCsumErrors")
	took := c.connect(sender, receiver)
	if rise := receiver.Counter("Udp", "InCsumErrors") - before; took < slow || rise == 0 {
		c.t.Fatalf("a connection took %s, and %s counted %d packets with bad checksums: this is not the incident", took, receiver.Name, rise)
	}
	c.Await("netmendctl cluster to name "+sender.Name, func() (bool, string) {
		c.connect(sender, receiver) // and go on: what counts is what rises
		out, err := c.Admin(os.Getenv("NETMENDCTL"), "cluster", "-o", "json")
		var doc struct {
			Findings []struct {
				Check, Severity string
				Nodes           []string
			}
		}
		if jerr := json.Unmarshal([]byte(out), &doc); jerr != nil {
			return false, fmt.Sprint(jerr, err, out)
		}
		for _, f := range doc.Findings {
			if f.Check == "cluster-bad-checksums" && f.Severity == "critical" && len(f.Nodes) > 0 {
				if f.Nodes[0] != sender.Name {
					c.t.Errorf("bad checksums are laid to %s", f.Nodes)
				}
				return true, ""
			}
		}
		return false, out
	})
	sender.faulty, receiver.faulty = sender.knobs(), receiver.knobs()
}

// connect has the first node open a connection to the pod of the second one, and tells how long that took.
func (c *cluster) connect(from, to *worker) time.Duration {
	c.t.Helper()
	start := time.Now()
	if _, err := from.get("http://" + to.web + ":8080/"); err != nil {
		c.t.Fatal(err)
	}
	return time.Since(start)
}

// testMending has netmend in mode fix mend the faults: what was told of them is taken back.
func (c *cluster) testMending() {
	c.install("upgrade", "fix")
	w := c.workers[0]
	for _, w := range c.workers {
		c.untilCondition(w, "False NetworkProven")
	}
	c.untilReport(w, "that it was mended", func(r *nodereport.Report) string {
		if r.Status.State != status.Proven || r.Status.Critical > 0 || r.Status.Mended < 2 {
			return "it is not proven with two fixes in force"
		}
		return ""
	})
	c.t.Log(c.must("get", "nnr"))
	if got := w.Sh("sysctl -n net.ipv4.ip_forward"); got != "1\n" {
		c.t.Errorf("ip_forward is %s", got)
	}
	c.untilDescribed("node", w.Name, "NetworkFaultGone", "ip-forward", "tunnel-tx-checksum")
	var took []time.Duration
	for range 5 {
		took = append(took, c.connect(w, c.workers[1]))
	}
	if slices.Min(took) > slow {
		c.t.Errorf("with the offload off a connection takes %s", took)
	}
	c.Await("netmendctl cluster to find nothing critical", func() (bool, string) {
		out, err := c.Admin(os.Getenv("NETMENDCTL"), "cluster", "--fail-on", "critical")
		return err == nil, fmt.Sprint(out, err)
	})
}
