package config_test

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
)

const head = "apiVersion: netmend.io/v1alpha1\nkind: NetmendConfiguration\n"

func suite(t testing.TB) *audit.Suite {
	t.Helper()
	s, err := audit.Default()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParse(t *testing.T) {
	with := func(change func(*config.Config)) *config.Config {
		c := config.Default()
		change(c)
		return c
	}
	check1 := func(k config.Check) func(*config.Config) {
		return func(c *config.Config) { c.Checks = map[string]config.Check{"hairpin": k} }
	}
	for _, tt := range []struct {
		name, doc string
		want      func(*config.Config)
	}{
		{"nothing but the head", "", func(*config.Config) {}},
		{"mode", "mode: fix", func(c *config.Config) { c.Mode = config.Fix }},
		{"severity", "checks: {hairpin: {severity: info}}", check1(config.Check{Severity: new(check.Info)})},
		{"settle", "checks: {hairpin: {settle: 1m30s}}", check1(config.Check{Settle: new(90 * time.Second)})},
		{"fix on", "checks: {hairpin: {fix: on}}", check1(config.Check{Fix: config.FixFirst})},
		{"fix on, quoted", `checks: {hairpin: {fix: "on"}}`, check1(config.Check{Fix: config.FixFirst})},
		{"fix off", "checks: {hairpin: {fix: off}}", check1(config.Check{Fix: config.FixNever})},
		{"fix by number", "checks: {hairpin: {fix: 2}}", check1(config.Check{Fix: 2})},
		{"fix off where there is none", "checks: {bridge-mtu: {fix: off}}", func(c *config.Config) {
			c.Checks = map[string]config.Check{"bridge-mtu": {Fix: config.FixNever}}
		}},
		{"ignore", `checks: {hairpin: {ignore: ["veth*", "*:eth0"]}}`, check1(config.Check{Ignore: []string{"veth*", "*:eth0"}})},
		{"a check with nothing to say", "checks: {hairpin: {}}", check1(config.Check{})},
		{"http off", "http: {listen: off}", func(c *config.Config) { c.Listen = "" }},
		{"http elsewhere", `http: {listen: "[::]:80", hosts: [node1.example]}`, func(c *config.Config) { c.Listen, c.Hosts = "[::]:80", []string{"node1.example"} }},
		{"every address", `http: {listen: ":80"}`, func(c *config.Config) { c.Listen = ":80" }},
		{"socket off", `socket: "off"`, func(c *config.Config) { c.Socket = "" }},
		{"chain", "chain: {keep: false, entry: {type: netmend, mode: warn}}", func(c *config.Config) {
			c.KeepChain, c.Entry = false, json.RawMessage(`{"mode":"warn","type":"netmend"}`)
		}},
		{"intervals", "intervals: {fullAudit: 1h, counterWindow: 10s}", func(c *config.Config) { c.FullAudit, c.CounterWindow = time.Hour, 10*time.Second }},
		{"log", "log: {level: debug, format: json}", func(c *config.Config) { c.LogLevel, c.LogJSON = slog.LevelDebug, true }},
		{"intent", "podCIDRs: [10.1.2.3/16]\nnodePodCIDRs: [\"fd00::/64\"]\nservices: [{name: a/b:c, vip: 10.96.0.1, port: 53, protocol: udp}]", func(c *config.Config) {
			c.Intent = facts.Intent{
				PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, NodePodCIDR: []netip.Prefix{netip.MustParsePrefix("fd00::/64")},
				Services: []facts.ServiceIntent{{Name: "a/b:c", VIP: netip.MustParseAddr("10.96.0.1"), Port: 53, Protocol: "udp", Source: "configuration"}},
			}
		}},
		{"no Kubernetes", "kubernetes: {access: off, node: node1, report: false}", func(*config.Config) {}},
		{"no Kubernetes, quoted", `kubernetes: {access: "off"}`, func(*config.Config) {}},
		{"Kubernetes of a pod", "kubernetes: {access: in-cluster}", func(c *config.Config) {
			c.Kubernetes = config.Kubernetes{Access: config.InCluster, Services: true, Report: true, Condition: true, Events: true}
		}},
		{"Kubernetes by a file", "kubernetes: {access: /etc/netmend/kubeconfig, node: a-1.example, services: false, report: false, condition: false, events: false, startupTaint: true}",
			func(c *config.Config) {
				c.Kubernetes = config.Kubernetes{Access: "/etc/netmend/kubeconfig", Node: "a-1.example", StartupTaint: true}
			}},
		{"comments and one document's marks", "# x\n...\n# end\n", func(*config.Config) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.Parse([]byte(head+tt.doc), suite(t))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(with(tt.want), got, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); d != "" {
				t.Errorf("Parse(%q) (-want +got):\n%s", tt.doc, d)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{"empty", "", "configuration is empty: it needs at least apiVersion: netmend.io/v1alpha1 and kind: NetmendConfiguration"},
		{"no kind", "apiVersion: netmend.io/v1alpha1", "configuration: kind: it is missing: NetmendConfiguration"},
		{"no version", "kind: NetmendConfiguration", "configuration: apiVersion: it is missing: netmend.io/v1alpha1"},
		{"another kind", "apiVersion: netmend.io/v1alpha1\nkind: Report", `configuration: kind: "Report" is not one of NetmendConfiguration`},
		{"a list", "- 1", "configuration: [1] is not a mapping of keys to values"},
		{"not YAML", "a: b: c", "decode configuration: mapping values are not allowed in this context"},
		{"two documents", head + "---\nmode: fix", "decode configuration: more than one YAML document"},
		{"something after the end", head + "...\nmode: fix", "decode configuration: more than one YAML document"},
		{"a key twice", head + "mode: fix\nmode: audit", `decode configuration: line 4: key "mode" already set in map`},
		{"a check twice", head + "checks:\n  hairpin: {fix: on}\n  hairpin: {fix: off}", `decode configuration: line 5: key "hairpin" already set in map`},
		{"unknown key", head + "mod: fix", "configuration: mod: unknown key: did you mean mode?"},
		{"unknown key below", head + "http: {adress: x}", "configuration: http.adress: unknown key: one of hosts, listen"},
		{"no value", head + "mode:", `configuration: mode: null is not a text`},
		{"no value of a group", head + "http:", "configuration: http: null is not a mapping of keys to values"},
		{"wrong word", head + "mode: on", "configuration: mode: true is not a text"},
		{"wrong mode", head + "mode: repair", `configuration: mode: "repair" is not one of audit, fix`},
		{"unknown check", head + "checks: {tunel-tx-checksum: {fix: on}}", "configuration: checks.tunel-tx-checksum: unknown check: did you mean tunnel-tx-checksum?"},
		{"very unknown check", head + "checks: {xyzzy: {}}", "configuration: checks.xyzzy: unknown check: netmendctl checks lists them"},
		{"unknown key of a check", head + "checks: {hairpin: {ignored: []}}", "configuration: checks.hairpin.ignored: unknown key: did you mean ignore?"},
		{"wrong severity", head + "checks: {hairpin: {severity: fatal}}", `configuration: checks.hairpin.severity: "fatal" is not one of info, warning, critical`},
		{"wrong settle", head + "checks: {hairpin: {settle: 3}}", "configuration: checks.hairpin.settle: 3 is not a duration such as 90s or 10m"},
		{"too long a settle", head + "checks: {hairpin: {settle: 240h}}", `configuration: checks.hairpin.settle: "240h" is not between 0s and 24h0m0s`},
		{"wrong fix", head + "checks: {hairpin: {fix: maybe}}", `configuration: checks.hairpin.fix: "maybe" is not on, off or the number of a fix`},
		{"fix 0", head + "checks: {hairpin: {fix: 0}}", "configuration: checks.hairpin.fix: 0 is not on, off or the number of a fix"},
		{"a fix that nobody may make", head + "checks: {bridge-mtu: {fix: on}}", "configuration: checks.bridge-mtu.fix: only a person can mend it: netmendctl explain bridge-mtu"},
		{"wrong pattern", head + `checks: {hairpin: {ignore: ["a", "[b"]}}`, `configuration: checks.hairpin.ignore[1]: "[b" is not a pattern of an object's name, such as docker0 or veth*`},
		{"ignore is no list", head + "checks: {hairpin: {ignore: veth0}}", `configuration: checks.hairpin.ignore: "veth0" is not a list`},
		{"too many patterns", head + "checks: {hairpin: {ignore: [" + strings.Repeat("a,", 65) + "]}}", "configuration: checks.hairpin.ignore: more than 64 values"},
		{"address without a port", head + "http: {listen: 127.0.0.1}", `configuration: http.listen: "127.0.0.1" is not ADDRESS:PORT such as 127.0.0.1:26363, nor off`},
		{"address by a name", head + "http: {listen: 'node1:80'}", `configuration: http.listen: "node1:80" is not ADDRESS:PORT such as 127.0.0.1:26363, nor off`},
		{"port 0", head + "http: {listen: '127.0.0.1:0'}", `configuration: http.listen: "127.0.0.1:0" is not ADDRESS:PORT such as 127.0.0.1:26363, nor off`},
		{"wrong host", head + "http: {hosts: ['*']}", `configuration: http.hosts[0]: "*" is not a host's name`},
		{"relative socket", head + "socket: netmend.sock", `configuration: socket: "netmend.sock" is not a clean absolute path of at most 100 bytes, nor off`},
		{"another plugin", head + "chain: {entry: {type: bridge}}", `configuration: chain.entry: {"type":"bridge"} is not an object with type: netmend, see docs/cni.md`},
		{"keep", head + "chain: {keep: 1}", "configuration: chain.keep: 1 is not true or false"},
		{"interval too short", head + "intervals: {fullAudit: 1s}", `configuration: intervals.fullAudit: "1s" is not between 10s and 24h0m0s`},
		{"window longer than the audit", head + "intervals: {fullAudit: 1m, counterWindow: 2m}", "configuration: intervals.counterWindow: 2m0s is longer than intervals.fullAudit, 1m0s"},
		{"CIDR", head + "podCIDRs: [10.0.0.1]", `configuration: podCIDRs[0]: "10.0.0.1" is not a CIDR such as 10.244.0.0/16`},
		{"service without a name", head + "services: [{vip: 10.0.0.1, port: 1}]", "configuration: services[0].name: it is missing"},
		{"service without an address", head + "services: [{name: a/b, port: 1}]", "configuration: services[0].vip: it is missing"},
		{"service without a port", head + "services: [{name: a/b, vip: 10.0.0.1}]", "configuration: services[0].port: it is missing"},
		{"service's name", head + "services: [{name: b, vip: 10.0.0.1, port: 1}]", `configuration: services[0].name: "b" is not namespace/name:port, as kube-proxy calls it`},
		{"service's port", head + "services: [{name: a/b, vip: 10.0.0.1, port: 70000}]", "configuration: services[0].port: 70000 is not a port"},
		{"relative kubeconfig", head + "kubernetes: {access: kubeconfig}", `configuration: kubernetes.access: "kubeconfig" is not off, in-cluster or a clean absolute path of a kubeconfig`},
		{"access by truth", head + "kubernetes: {access: true}", "configuration: kubernetes.access: true is not a text"},
		{"a node in capitals", head + "kubernetes: {node: Node1}", `configuration: kubernetes.node: "Node1" is not a node's name: lower case letters, digits, - and . (kubectl get nodes)`},
		{"a node that is a path", head + "kubernetes: {node: a/../b}", `configuration: kubernetes.node: "a/../b" is not a node's name: lower case letters, digits, - and . (kubectl get nodes)`},
		{"a report to nobody", head + "kubernetes: {startupTaint: true, report: true}", "configuration: kubernetes.report: it needs kubernetes.access: in-cluster, or the path of a kubeconfig"},
		{"unknown key of Kubernetes", head + "kubernetes: {acess: off}", "configuration: kubernetes.acess: unknown key: did you mean access?"},
		{"terminal escapes", head + `mode: "\e[31m"`, `configuration: mode: "\x1b[31m" is not one of audit, fix`},
		{"too large", head + strings.Repeat("#", config.MaxSize), "configuration has more than 256 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.doc), suite(t))
			if err == nil || err.Error() != tt.want {
				t.Errorf("Parse(%.60q) = %v; want %s", tt.doc, err, tt.want)
			}
		})
	}
}

// TestAliases holds that a small file cannot be made a large one.
func TestAliases(t *testing.T) {
	doc := head + "x0: &x0 [a,a,a,a,a,a,a,a,a,a]\n"
	for i := 1; i < 9; i++ {
		doc += strings.NewReplacer("N", string(rune('0'+i)), "O", string(rune('0'+i-1))).Replace("xN: &xN [*xO,*xO,*xO,*xO,*xO,*xO,*xO,*xO,*xO,*xO]\n")
	}
	if _, err := config.Parse([]byte(doc), suite(t)); err == nil {
		t.Error("a bomb of aliases is taken")
	}
}

func FuzzParse(f *testing.F) {
	for _, doc := range []string{
		"", head, head + "mode: fix", head + "checks: {hairpin: {fix: 2, ignore: ['*'], settle: 1s, severity: info}}", head + "http: {listen: off}", "a: &a [*a]",
		head + "services: [{name: a/b, vip: '::1', port: 1, protocol: sctp}]", "---\n" + head + "---\n", head + "chain: {entry: {type: netmend, x: [1, 1.5, null]}}", "\x00", "? [a]\n: b",
	} {
		f.Add([]byte(doc))
	}
	known := suite(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, err := config.Parse(doc, known)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") || c != nil {
				t.Errorf("Parse(%q) = %v, %q", doc, c, err)
			}
			return
		}
		if c.Mode != config.Audit && c.Mode != config.Fix || c.FullAudit <= 0 || c.CounterWindow <= 0 || c.CounterWindow > c.FullAudit {
			t.Errorf("Parse(%q) = %+v", doc, c)
		}
		c.Choices()
	})
}
