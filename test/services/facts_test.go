package services

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/host"
	"github.com/netmend/netmend/test/e2e/lab"
)

// held reads what a node holds.
func held(t *testing.T, n *lab.Node, mode string) *facts.ServiceRules {
	t.Helper()
	h, err := host.Open(host.Options{NetNS: n.Path})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var rules *facts.ServiceRules
	err = h.Node().Do(func() (err error) {
		rules, err = h.Node().ServiceRules(host.ServiceOptions{Mode: mode}, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// lines writes paths of the Services of the namespace default, one a line.
func lines(paths []facts.ServicePath, family int) (out []string) {
	for _, p := range paths {
		if p.Family != family || !strings.HasPrefix(p.Name, "default/") || strings.HasPrefix(p.Name, "default/kubernetes") {
			continue
		}
		kind := p.Kind
		if kind == facts.FrontLoadBalancer {
			kind = facts.FrontExternal // nftables mode does not tell them apart
		}
		front := fmt.Sprint(p.Port)
		if p.VIP.IsValid() {
			front = netip.AddrPortFrom(p.VIP, p.Port).String()
		}
		line := fmt.Sprintf("%s %s %s/%s %s", strings.TrimPrefix(p.Name, "default/"), kind, front, p.Protocol, p.Scope)
		if p.Verdict != "" {
			line += " " + p.Verdict
		}
		for _, b := range p.Backends {
			if line += " " + b.Addr.Addr().String(); b.Addr.Port() != 8080 || b.Weight != 1 {
				line += fmt.Sprintf(" port %d weight %d", b.Addr.Port(), b.Weight)
			}
		}
		if p.Masquerade != 0 {
			line += " masquerade " + p.Masquerade.String()
		}
		if p.Affinity != 0 {
			line += fmt.Sprintf(" affinity %d", p.Affinity)
		}
		if p.Sources != nil {
			line += fmt.Sprintf(" sources %v", p.Sources)
		}
		if p.Broken != nil || p.Unknown != "" {
			line += fmt.Sprintf(" broken %v unknown %s", p.Broken, p.Unknown)
		}
		out = append(out, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(out)
	return out
}

// wanted are the lines for both families of a node that has the third of the endpoints with this number. Of IPv6 kube-proxy does not know the pods' addresses.
func wanted(mode string, number int) (v4, v6 []string) {
	text := `
plain:p0 cluster V1:80/tcp ALL masquerade CLUSTER
plain:p1 cluster V1:81/udp ALL masquerade CLUSTER
plain:p2 cluster V1:82/sctp ALL masquerade CLUSTER
ports:p0 cluster V2:80/tcp ALL masquerade CLUSTER
ports:p1 cluster V2:81/udp ALL masquerade CLUSTER
ports:p2 cluster V2:82/sctp ALL masquerade CLUSTER
ports:p0 node-port 30010/tcp ALL masquerade all+hairpin
ports:p1 node-port 30011/udp ALL masquerade all+hairpin
ports:p2 node-port 30012/sctp ALL masquerade all+hairpin
local:http cluster V3:80/tcp ALL masquerade CLUSTER
local:http node-port 30020/tcp INSIDE ALL masquerade node+hairpin
local:http node-port 30020/tcp outside LOCAL masquerade hairpin
outward:http cluster V4:80/tcp REMOTE masquerade CLUSTER
outward:http external X4:80/tcp REMOTE masquerade all+hairpin
inward:http cluster V5:80/tcp LOCAL masquerade CLUSTER
nowhere:http cluster V6:80/tcp drop
sticky:http cluster V7:80/tcp ALL masquerade CLUSTER affinity 77
empty:http cluster V8:80/tcp reject
empty:http external X8:80/tcp reject
empty:http node-port 30080/tcp reject
balanced:http cluster V11:80/tcp REMOTE masquerade CLUSTER
balanced:http external X11:80/tcp REMOTE masquerade all+hairpin SOURCES
balanced:http node-port 30110/tcp REMOTE masquerade all+hairpin
balanced-local:http cluster V12:80/tcp REMOTE masquerade CLUSTER
balanced-local:http external X12:80/tcp INSIDE REMOTE masquerade node+hairpin
balanced-local:http external X12:80/tcp outside drop
balanced-local:http node-port 30120/tcp INSIDE REMOTE masquerade node+hairpin
balanced-local:http node-port 30120/tcp outside drop
unported:http cluster V13:80/tcp REMOTE masquerade CLUSTER
unported:http external X13:80/tcp REMOTE masquerade all+hairpin`
	if mode == facts.ModeIPTables {
		text += "\nbalanced-local health 30129/tcp"
	}
	var pairs4, pairs6 []string
	for i := 13; i > 0; i-- { // the longer names first
		pairs4 = append(pairs4, fmt.Sprintf("V%d:", i), fmt.Sprintf("10.96.1.%d:", i), fmt.Sprintf("X%d:", i), fmt.Sprintf("192.0.2.%d:", i))
		pairs6 = append(pairs6, fmt.Sprintf("V%d:", i), fmt.Sprintf("[fd00:96::1%02d]:", i), fmt.Sprintf("X%d:", i), fmt.Sprintf("[2001:db8::%d]:", i))
	}
	pairs4 = append(pairs4, "CLUSTER", "off-cluster+hairpin", "INSIDE", "inside", "LOCAL", fmt.Sprintf("10.244.1.%d", 1+number),
		"ALL", "10.244.1.1 10.244.1.2 10.244.1.3 10.244.9.1 10.244.9.2", "REMOTE", "10.244.9.1 10.244.9.2", "SOURCES", "sources [198.51.100.0/24 203.0.113.7/32]")
	pairs6 = append(pairs6, "CLUSTER", "hairpin", "INSIDE", "node", "LOCAL", fmt.Sprintf("fd00:244::1:%d", 1+number),
		"ALL", "fd00:244::1:1 fd00:244::1:2 fd00:244::1:3 fd00:244::9:1 fd00:244::9:2", "REMOTE", "fd00:244::9:1 fd00:244::9:2", " SOURCES", "")
	replace := func(pairs []string, leave func(line string) bool) (out []string) {
		for line := range strings.Lines(strings.TrimSpace(text)) {
			if line = strings.TrimSpace(line); !leave(line) {
				out = append(out, strings.NewReplacer(pairs...).Replace(line))
			}
		}
		slices.Sort(out)
		return out
	}
	return replace(pairs4, func(string) bool { return false }), replace(pairs6, func(line string) bool {
		return strings.Contains(line, " X8:") || strings.Contains(line, " X13:") // they have no such address
	})
}

// TestFacts reads every kind of Service as a real kube-proxy writes it, in iptables mode by both backends and in nftables mode.
func TestFacts(t *testing.T) {
	c := lab.NewCluster(t)
	modes := []string{"iptables", "iptables-legacy", "nftables"}
	var nodes []*lab.Node
	var names []string
	for i, mode := range modes {
		n := c.Join(mode)
		n.Sh(fmt.Sprintf("ip addr add fd00:99::%d/64 dev eth0 nodad", 10+i))
		nodes, names = append(nodes, n), append(names, n.Name)
	}
	c.CreateKinds(names...)
	for i, mode := range modes {
		c.Proxy(nodes[i], mode)
	}
	for i, mode := range modes {
		own, _, _ := strings.Cut(mode, "-")
		v4, v6 := wanted(own, i)
		diff := ""
		lab.WaitFor(t, time.Minute, "the rules of "+mode, func() (bool, string) {
			rules := held(t, nodes[i], own)
			diff = cmp.Diff(v4, lines(rules.Paths, 4)) + cmp.Diff(v6, lines(rules.Paths, 6))
			return diff == "", diff
		})
		for _, s := range held(t, nodes[i], own).NodePorts {
			t.Logf("%s: node ports %+v", mode, s)
		}
	}
}
