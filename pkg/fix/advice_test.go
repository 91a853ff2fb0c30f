package fix_test

import (
	"testing"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

func TestShell(t *testing.T) {
	for _, tt := range []struct {
		name string
		ns   *facts.Namespace
		want string
	}{
		{"nowhere in particular", nil, `ip addr show dev 'a;b'`},
		{"the node's namespace", &facts.Namespace{Inode: 1}, `ip addr show dev 'a;b'`},
		{"a pod's", &facts.Namespace{Inode: 2, Path: "/run/netns/a b"}, `nsenter --net='/run/netns/a b' ip addr show dev 'a;b'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := fix.Shell(tt.ns, "ip", "addr", "show", "dev", "a;b"); got != tt.want {
				t.Errorf("Shell() = %s; want %s", got, tt.want)
			}
		})
	}
}
