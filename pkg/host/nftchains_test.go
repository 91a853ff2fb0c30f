package host

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

func TestBulkPrefix(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"KUBE-SVC-NPX46M4PTMTKRN6Y", "KUBE-SVC-"},
		{"KUBE-SERVICES", ""},
		{"KUBE-FW-ABC", "KUBE-FW-"},
		{"KUBE-FIREWALL", ""},
		{"cali-tw-cali12345", "cali-tw-"},
		{"cali-pri-kns.default", "cali-pri-"},
		{"cali-from-wl-dispatch", ""},
		{"filter-cali-fw-cali12345", "cali-fw-"},
		{"filter-cali-FORWARD", ""},
		{"service-ULMVA6XW-ns1/svc1/tcp/p80", "service-"},
		{"service-endpoints-check", ""},
		{"endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80", "endpoint-"},
		{"firewall-check", ""},
		{"CNI-DN-0123456789abcdef01234", "CNI-DN-"},
		{"CNI-SN-0123456789abcdef01234", "CNI-SN-"},
		{"CNI-0123456789abcdef01234567", "CNI-"},
		{"CNI-FORWARD", ""},
		{"CNI-HOSTPORT-MASQ", ""},
		{"", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := bulkPrefix([]byte(tt.name)); got != tt.want {
				t.Errorf("bulkPrefix(%q) = %q; want %q", tt.name, got, tt.want)
			}
		})
	}
}

// TestNFTSelection shows which chains are kept, counted and read.
func TestNFTSelection(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh(`iptables-nft-restore -c -w <<'END'
*nat
:POSTROUTING ACCEPT [7:420]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-AAAA - [0:0]
:KUBE-SVC-BBBB - [0:0]
:KUBE-SEP-AAAA - [0:0]
:FAR - [0:0]
:FARTHER - [0:0]
:NOWHERE - [0:0]
:NETMEND-POSTROUTING - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A POSTROUTING -j KUBE-POSTROUTING
-A POSTROUTING -d 10.0.0.1/32 -g FAR
-A POSTROUTING -j KUBE-SVC-AAAA
-A FAR -j FARTHER
-A FARTHER -j RETURN
-A KUBE-SERVICES -j KUBE-SVC-AAAA
COMMIT
END
nft add table arp a
nft add chain arp a c
nft add table bridge b
nft add table inet sleeping '{ flags dormant; chain f { type filter hook forward priority 0; policy drop; }; }'
nft add table ip kube-proxy
nft add chain ip kube-proxy service-AAAAAAAA-default/kubernetes/tcp/https
nft add chain ip kube-proxy service-endpoints-check
nft add set ip kube-proxy affinity-AAAAAAAA-a/b/tcp/c '{ type ipv4_addr; }'
nft add map ip kube-proxy service-ips '{ type ipv4_addr . inet_proto . inet_service : verdict; }'
`)
	tables := inNS(t, h, h.Node().NFTables)
	nat := tableOf(t, tables, facts.BackendNFT, "ip", "nat")
	if d := cmp.Diff(map[string]int{"KUBE-SVC-": 2, "KUBE-SEP-": 1}, nat.Bulk); d != "" {
		t.Errorf("bulk (-want +got):\n%s", d)
	}
	read := map[string]bool{}
	for _, c := range nat.Chains {
		read[c.Name] = c.RulesRead
	}
	want := map[string]bool{
		"PREROUTING": true, "POSTROUTING": true, "KUBE-POSTROUTING": true, "KUBE-SERVICES": false, "KUBE-MARK-MASQ": false,
		"FAR": true, "FARTHER": true, "NOWHERE": false, "NETMEND-POSTROUTING": true,
	}
	if d := cmp.Diff(want, read); d != "" {
		t.Errorf("chains and whether their rules are read (-want +got):\n%s", d)
	}
	post := nat.Chain("POSTROUTING")
	if post.Packets == nil || *post.Packets != 7 || post.Type != "nat" || post.Priority != 100 || post.Policy != "accept" {
		t.Errorf("POSTROUTING = %+v; want a nat chain at 100 that counts 7 packets", *post)
	}
	for _, family := range []string{"arp", "bridge"} {
		i := slices.IndexFunc(tables, func(x facts.Table) bool { return x.Family == family })
		if i < 0 || tables[i].Chains != nil {
			t.Errorf("table of family %s: want it by name alone in %+v", family, tables)
		}
	}
	if c := tableOf(t, tables, facts.BackendNFT, "inet", "sleeping").Chain("f"); c.Hook != "" {
		t.Errorf("chain of a dormant table has hook %q; want none", c.Hook)
	}
	proxy := tableOf(t, tables, facts.BackendNFT, "ip", "kube-proxy")
	if d := cmp.Diff(map[string]int{"service-": 1, "affinity-": 1}, proxy.Bulk); d != "" {
		t.Errorf("bulk of kube-proxy (-want +got):\n%s", d)
	}
	if len(proxy.Chains) != 1 || proxy.Chains[0].Name != "service-endpoints-check" || !slices.Equal(proxy.Maps, []string{"service-ips"}) {
		t.Errorf("kube-proxy = %+v; want chain service-endpoints-check and map service-ips", *proxy)
	}
}

func TestNFTBounds(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	var b strings.Builder
	b.WriteString("table ip x {\n chain long {\n")
	for range maxRules + 1 {
		b.WriteString("  counter\n")
	}
	b.WriteString(" }\n")
	for i := range maxRuleChains + 5 {
		fmt.Fprintf(&b, " chain c%d {\n  counter\n }\n", i)
	}
	b.WriteString(" chain f {\n  type filter hook forward priority 0;\n  jump long\n")
	for i := range maxRuleChains + 5 {
		fmt.Fprintf(&b, "  jump c%d\n", i)
	}
	b.WriteString(" }\n}\n")
	sh("nft -f - <<'END'\n" + b.String() + "END")
	table := tableOf(t, inNS(t, h, h.Node().NFTables), facts.BackendNFT, "ip", "x")
	read := 0
	for _, c := range table.Chains {
		if c.RulesRead {
			read++
		}
	}
	// The base chain itself, and those within the bound but the long one.
	if want := 1 + maxRuleChains - 1; read != want {
		t.Errorf("%d chains read; want %d", read, want)
	}
	if c := table.Chain("long"); c.RulesRead || c.Rules != nil {
		t.Errorf("chain of %d rules: read %v with %d rules; want it left alone", maxRules+1, c.RulesRead, len(c.Rules))
	}
}

// TestNFTConsistent reads while the rule set is replaced again and again: in one generation chain a always holds as many rules as chain b.
func TestNFTConsistent(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("nft add table ip x '{ chain a { type filter hook input priority 0; }; chain b { type filter hook output priority 0; }; }'")
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			sh("nft -f - <<'END'\n" + "flush chain ip x a\nflush chain ip x b\n" +
				strings.Repeat("add rule ip x a counter\nadd rule ip x b counter\n", i%40) + "END")
		}
	})
	for range 60 {
		tables, err := func() (tables []facts.Table, err error) {
			err = h.Node().Do(func() error { tables, err = h.Node().NFTables(); return err })
			return tables, err
		}()
		if err != nil {
			if !strings.Contains(err.Error(), ErrInterrupted.Error()) {
				t.Errorf("NFTables: %v", err)
			}
			continue
		}
		table := tableOf(t, tables, facts.BackendNFT, "ip", "x")
		if a, b := len(rulesOf(t, table, "a")), len(rulesOf(t, table, "b")); a != b {
			t.Errorf("%d rules in one chain and %d in the other", a, b)
		}
	}
	close(stop)
	writer.Wait()
}

// TestCleanNamespace reads everything of a namespace that has nothing: afterwards it still has nothing.
func TestCleanNamespace(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	n := h.Node()
	err := n.Do(func() error {
		for name, read := range map[string]func() (int, error){
			"nftables": func() (int, error) { x, err := n.NFTables(); return len(x), err },
			"legacy":   func() (int, error) { x, err := n.Legacy(); return len(x), err },
			"IPVS":     func() (int, error) { x, err := n.IPVS(); return len(x.Servers), err },
			"NAT":      func() (int, error) { x, err := n.TunnelNAT([]uint16{8472}); return len(x), err },
			"traces":   func() (int, error) { mode, _, err := n.proxyTraces(); return len(mode), err },
			"services": func() (int, error) {
				x, err := n.ServiceVIPs(facts.ModeIPTables, []facts.ServiceIntent{{Name: kubernetesService, Port: 443, Protocol: "tcp"}})
				if err == nil && (len(x) != 1 || x[0].Found) {
					err = fmt.Errorf("%+v; want one that is not found", x)
				}
				return 0, err
			},
		} {
			if n, err := read(); err != nil || n != 0 {
				t.Errorf("%s of a clean namespace = %d, %v; want nothing", name, n, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sh(`test -z "$(cat /proc/net/ip_tables_names /proc/net/ip6_tables_names)" && test -z "$(nft list ruleset)"`)
}

// TestUnprivileged runs itself again as nobody: what may not be read is an error, never an empty list.
func TestUnprivileged(t *testing.T) {
	if os.Getenv("NETMEND_TEST_NOBODY") != "" {
		h, err := Open(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		n := h.Node()
		if _, err := n.NFTables(); err == nil || !strings.Contains(err.Error(), unix.EPERM.Error()) {
			t.Errorf("NFTables as nobody: %v; want %v", err, unix.EPERM)
		}
		if _, err := n.Legacy(); err == nil || !strings.Contains(err.Error(), unix.EACCES.Error()) {
			t.Errorf("Legacy as nobody: %v; want %v", err, unix.EACCES)
		}
		if _, err := n.TunnelNAT([]uint16{1}); err == nil || !strings.Contains(err.Error(), unix.EPERM.Error()) {
			t.Errorf("TunnelNAT as nobody: %v; want %v", err, unix.EPERM)
		}
		if _, err := n.Conntrack(); err != nil {
			t.Errorf("Conntrack as nobody: %v", err)
		}
		if _, err := n.IPVS(); err != nil {
			t.Errorf("IPVS as nobody: %v", err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root: to become nobody")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir() + "/self"
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := copied; dir != "/tmp" && dir != "/"; dir = dir[:max(1, strings.LastIndexByte(dir, '/'))] {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(copied, "-test.run", "^TestUnprivileged$", "-test.v")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "NETMEND_TEST_NOBODY=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, NoSetGroups: true}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}
