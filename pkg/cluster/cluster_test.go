package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/nodereport"
	"github.com/netmend/netmend/pkg/status"
)

var (
	now = time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC)
	old = now.Add(-48 * time.Hour)
)

func ip(text string) netip.Addr                    { return netip.MustParseAddr(text) }
func cidr(text string) netip.Prefix                { return netip.MustParsePrefix(text) }
func flag(b bool) *bool                            { return &b }
func mac(i int) string                             { return fmt.Sprintf("02:42:00:00:00:%02x", i) }
func nodeName(i int) string                        { return fmt.Sprintf("node%d", i+1) }
func (in *Input) vtep(i int) *VTEP                 { return in.Nodes[i].Flannel.V4 }
func network(in *Input, i int) *nodereport.Network { return &in.Reports[i].Status.Network }
func tunnel(in *Input, i int) *nodereport.Tunnel   { return &network(in, i).Tunnels[0] }

// healthy is a cluster of flannel and kube-proxy without a fault.
func healthy(nodes int) *Input {
	in := &Input{Now: now, Proxy: KubeProxy{DaemonSets: []DaemonSet{{Name: "kube-system/kube-proxy", PriorityClass: "system-node-critical", Desired: nodes}}}}
	for i := range nodes {
		name, address, pods := nodeName(i), fmt.Sprintf("192.0.2.%d", i+1), cidr(fmt.Sprintf("10.244.%d.0/24", i))
		in.Nodes = append(in.Nodes, Node{
			Name: name, UID: "uid-" + name, Created: old, Ready: true, OS: "linux", Kernel: "6.1.0", Addresses: []netip.Addr{ip(address)}, Internal: 1,
			PodCIDRs: []netip.Prefix{pods}, Flannel: &Flannel{Backend: "vxlan", Written: old, V4: &VTEP{VNI: 1, MAC: mac(i), Public: ip(address)}},
		})
		in.Proxy.Pods = append(in.Proxy.Pods, ProxyPod{Name: "kube-system/kube-proxy-" + name, Node: name, Phase: "Running", Ready: true, Since: old, Owner: "kube-system/kube-proxy"})
		in.Reports = append(in.Reports, nodereport.Report{
			Metadata: nodereport.Metadata{Name: name, Created: old, Owners: []nodereport.Owner{{APIVersion: "v1", Kind: "Node", Name: name, UID: "uid-" + name}}},
			Status: nodereport.Status{
				State: status.Proven, Since: old, Mode: "audit", Versions: nodereport.Versions{Netmend: "v0.1.0", Kernel: "6.1.0"},
				Network: nodereport.Network{
					CNI: "cbr0", ProxyMode: "iptables", PodCIDRs: []netip.Prefix{pods}, PodMTU: []int{1450},
					Uplinks: []nodereport.Uplink{{Name: "eth0", MTU: 1500, Addresses: []netip.Prefix{netip.PrefixFrom(ip(address), 24)}}},
					Tunnels: []nodereport.Tunnel{{Name: "flannel.1", Kind: "vxlan", ID: 1, Port: 8472, Local: ip(address), MAC: mac(i), MTU: 1450, Uplink: "eth0", TxChecksum: flag(true)}},
				},
			},
		})
	}
	return in
}

// told is a finding in a line.
func told(f Finding) string {
	return fmt.Sprintf("%s %s %s [%s]", f.Check, f.Severity, f.On.Name, strings.Join(f.Nodes, " "))
}

type caseOf struct {
	name   string
	check  *Check
	change func(*Input)
	want   []string // without the check's name; none: it almost fires
}

func cases() []caseOf {
	return slices.Concat(checksumCases(), addressCases(), rangeCases(), mtuCases(), flannelCases(), proxyCases(), versionCases(), reportCases())
}

func TestChecks(t *testing.T) {
	fires, almost := map[string]int{}, map[string]int{}
	for _, tt := range cases() {
		t.Run(tt.check.Name+"/"+tt.name, func(t *testing.T) {
			in := healthy(4)
			tt.change(in)
			r := Judge(in)
			var got, want []string
			for _, f := range r.Findings {
				if f.Check != tt.check.Name {
					continue
				}
				got = append(got, told(f))
				if f.Message == "" || len(f.Fixes) == 0 && f.Severity > check.Info || f.Severity > tt.check.Severity {
					t.Errorf("%s: message %q, %d fixes, severity %s of at most %s", told(f), f.Message, len(f.Fixes), f.Severity, tt.check.Severity)
				}
				for _, x := range f.Fixes {
					if x.Title == "" || len(x.Advice) == 0 {
						t.Errorf("%s: a fix without a title or a command: %+v", told(f), x)
					}
				}
			}
			for _, w := range tt.want {
				want = append(want, tt.check.Name+" "+w)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
		})
		if len(tt.want) > 0 {
			fires[tt.check.Name]++
		} else {
			almost[tt.check.Name]++
		}
	}
	for _, c := range All() {
		if fires[c.Name] == 0 || almost[c.Name] == 0 {
			t.Errorf("%s has %d cases in which it fires and %d in which it almost does; want both", c.Name, fires[c.Name], almost[c.Name])
		}
	}
}

func TestHealthy(t *testing.T) {
	for _, nodes := range []int{1, 2, 50} {
		r := Judge(healthy(nodes))
		for _, f := range r.Findings {
			t.Errorf("%d nodes: %s: %s", nodes, told(f), f.Message)
		}
		if len(r.Passed) != len(All()) || len(r.Skipped) != 0 || len(r.Nodes) != nodes {
			t.Errorf("%d nodes: %d checks passed, skipped %v, %d nodes; want %d, none, %d", nodes, len(r.Passed), r.Skipped, len(r.Nodes), len(All()), nodes)
		}
	}
}

func TestMissingIsNotFine(t *testing.T) {
	in := healthy(3)
	in.Nodes, in.Proxy = nil, KubeProxy{}
	in.Missing = map[Source]string{Nodes: "403 Forbidden", Proxy: "403 Forbidden"}
	r := Judge(in)
	var skipped []string
	for _, s := range r.Skipped {
		skipped = append(skipped, s.Check+": "+s.Reason)
	}
	want := []string{
		"cluster-kube-proxy: could not read nodes: 403 Forbidden", "cluster-not-reported: could not read nodes: 403 Forbidden",
		"cluster-pod-cidr: could not read nodes: 403 Forbidden", "flannel-fdb-neigh: could not read nodes: 403 Forbidden",
	}
	if d := cmp.Diff(want, skipped); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
	if len(r.Findings) > 0 || len(r.Nodes) != 3 {
		t.Errorf("findings %v, %d nodes", r.Findings, len(r.Nodes))
	}
	in = healthy(3)
	in.Reports = in.Reports[1:]
	r = Judge(in)
	for _, c := range All() {
		told := slices.ContainsFunc(r.Skipped, func(s check.Skip) bool { return s.Check == c.Name && s.Partial && s.Reason == "1 node has no report" })
		if want := slices.Contains(c.Needs, Reports) && c != NotReported; told != want {
			t.Errorf("%s says that it did not see a node: %v; want %v", c.Name, told, want)
		}
	}
	if r.Nodes[0].Name != "node1" || r.Nodes[0].State != NoReport {
		t.Errorf("the first node is %+v; want node1 without report", r.Nodes[0])
	}
}

func TestNoRoomIsNotFine(t *testing.T) {
	in := healthy(3)
	network(in, 0).PodsOmitted, network(in, 1).PodsOmitted, network(in, 2).LinksOmitted = 2, 1, 1
	var got []string
	for _, s := range Judge(in).Skipped {
		got = append(got, fmt.Sprint(s.Check, " ", s.Partial, " ", s.Reason))
	}
	want := []string{
		"cluster-bad-checksums true 1 link has no room in their nodes' reports", "cluster-duplicate-ip true 3 addresses of pods have no room in their nodes' reports",
		"cluster-mtu true 1 link has no room in their nodes' reports", "flannel-fdb-neigh true 1 link has no room in their nodes' reports",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("skipped (-want +got):\n%s", d)
	}
}

func TestOf(t *testing.T) {
	in := healthy(4)
	tunnel(in, 1).BadChecksums = true
	tunnel(in, 0).Translated = []netip.Addr{ip("192.0.2.2")}
	for node, want := range map[string]int{"node1": 1, "node2": 1, "node3": 0} {
		r := Judge(in).Of(node)
		if len(r.Findings) != want || len(r.Nodes) != 1 || r.Nodes[0].Name != node {
			t.Errorf("Of(%s) has %d findings and nodes %v; want %d and itself", node, len(r.Findings), r.Nodes, want)
		}
	}
}

func TestHostileNames(t *testing.T) {
	in := healthy(2)
	tunnel(in, 1).BadChecksums = true
	tunnel(in, 0).Translated = []netip.Addr{ip("192.0.2.2")}
	tunnel(in, 0).Name = "x; rm -rf $HOME'"
	r := Judge(in)
	want := `ethtool -K 'x; rm -rf $HOME'\''' tx-checksum-ip-generic off`
	if got := r.Findings[0].Fixes[0].Advice[0]; got != want {
		t.Errorf("the command is %s; want %s", got, want)
	}
}

func TestDeterministic(t *testing.T) {
	make := func() *Result {
		in := healthy(20)
		for i := range in.Reports {
			in.Reports[i].Status.Versions.Kernel = fmt.Sprint("6.", i%5)
			in.Nodes[i].Kernel = in.Reports[i].Status.Versions.Kernel
			tunnel(in, i).MTU = 1400 + i%3
			tunnel(in, i).BadChecksums = i%4 == 0
			tunnel(in, i).Translated = []netip.Addr{ip("192.0.2.1"), ip("192.0.2.5")}
			network(in, i).PodCIDRs = []netip.Prefix{cidr(fmt.Sprintf("10.244.%d.0/24", i/2))}
			in.vtep(i).MAC = mac(i / 2)
		}
		return Judge(in)
	}
	a := make()
	for range 5 {
		if d := cmp.Diff(a, make()); d != "" {
			t.Fatalf("two runs differ (-first +second):\n%s", d)
		}
	}
	if len(a.Findings) < 20 {
		t.Errorf("%d findings; want many", len(a.Findings))
	}
}
