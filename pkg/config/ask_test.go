package config_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/facts"
)

func TestIgnored(t *testing.T) {
	s := &facts.Snapshot{
		Host: facts.Namespace{Inode: 1},
		Pods: []facts.Namespace{{Inode: 2, Path: "/run/netns/cni-12"}, {Inode: 3}},
	}
	for _, tt := range []struct {
		name    string
		pattern string
		on      facts.Ref
		want    bool
	}{
		{"a link", "flannel.1", facts.Ref{NetNS: 1, Index: 5, Name: "flannel.1"}, true},
		{"another link", "flannel.1", facts.Ref{NetNS: 1, Index: 5, Name: "flannel.10"}, false},
		{"links", "veth*", facts.Ref{NetNS: 1, Name: "veth12"}, true},
		{"a path", "/etc/cni/net.d/*", facts.Ref{NetNS: 1, Name: "/etc/cni/net.d/10-x.conf"}, true},
		{"everything, slashes too", "*", facts.Ref{NetNS: 1, Name: "/etc/cni/net.d/10-x.conf"}, true},
		{"the node", "node", facts.Ref{}, true},
		{"the node by its namespace", "node", facts.Ref{NetNS: 1}, true},
		{"a pod's link", "cni-12:eth0", facts.Ref{NetNS: 2, Index: 2, Name: "eth0"}, true},
		{"that link of every pod", "*:eth0", facts.Ref{NetNS: 3, Index: 2, Name: "eth0"}, true},
		{"a link of the node is not a pod's", "eth0", facts.Ref{NetNS: 2, Index: 2, Name: "eth0"}, false},
		{"a pod's link is not the node's", "*:eth0", facts.Ref{NetNS: 1, Index: 2, Name: "eth0"}, false},
		{"a pod as a whole", "cni-*", facts.Ref{NetNS: 2, Name: "/run/netns/cni-12"}, true},
		{"a pod that nobody can open", "3", facts.Ref{NetNS: 3}, true},
		{"a pod that is not in the snapshot", "9:eth0", facts.Ref{NetNS: 9, Name: "eth0"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := &config.Config{Checks: map[string]config.Check{"hairpin": {Ignore: []string{"nothing", tt.pattern}}}}
			if got := c.Ignored(s, check.Finding{Check: "hairpin", On: tt.on}); got != tt.want {
				t.Errorf("Ignored(%q, %+v) = %v; want %v", tt.pattern, tt.on, got, tt.want)
			}
			if c.Ignored(s, check.Finding{Check: "bridge-mtu", On: tt.on}) {
				t.Errorf("another check ignores %+v", tt.on)
			}
		})
	}
}

func TestPolicy(t *testing.T) {
	c, err := config.Parse([]byte(head+"checks: {rp-filter-strict: {fix: 2}, hairpin: {fix: on, severity: info, settle: 5s}, ip-forward: {fix: off}}"), suite(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]audit.Choice{{Check: "hairpin"}, {Check: "rp-filter-strict", Fix: 2}}, c.Choices()); d != "" {
		t.Errorf("Choices() (-want +got):\n%s", d)
	}
	if !c.Forbidden("ip-forward") || c.Forbidden("hairpin") || c.Forbidden("bridge-mtu") {
		t.Error("Forbidden is wrong")
	}
	if got := c.Severity(check.Finding{Check: "hairpin", Severity: check.Warning}); got != check.Info {
		t.Errorf("Severity(hairpin) = %v; want info", got)
	}
	if got := c.Severity(check.Finding{Check: "ip-forward", Severity: check.Critical}); got != check.Critical {
		t.Errorf("Severity(ip-forward) = %v; want critical", got)
	}
	if got := c.Settle(&check.Check{Name: "hairpin", Settle: time.Minute}); got != 5*time.Second {
		t.Errorf("Settle(hairpin) = %v; want 5s", got)
	}
	if got := c.Settle(&check.Check{Name: "ip-forward", Settle: time.Minute}); got != time.Minute {
		t.Errorf("Settle(ip-forward) = %v; want 1m", got)
	}
}
