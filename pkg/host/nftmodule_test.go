package host

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestUnloadedModules has a root in which parts of the kernel are modules that nobody has loaded: they are not asked, since that would load them.
func TestUnloadedModules(t *testing.T) {
	t.Parallel()
	h, sh := filterNS(t)
	sh("nft add table ip x")
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	modules := "lib/modules/" + unix.ByteSliceToString(u.Release[:]) + "/kernel/net/netfilter/"
	files := map[string]string{
		modules + "nf_tables.ko.xz":                    "module",
		modules + "nf_conntrack_netlink.ko":            "module",
		"proc/sys/net/netfilter/nf_conntrack_count":    "0\n",
		"proc/thread-self/net/ip_tables_names":         "\n",
		"sys/module/nf_conntrack/parameters/something": "1\n",
	}
	look := func() (tables int, err error) {
		n, err := Open(Options{Root: tree(t, files).root, NetNS: h.Node().Path})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		err = n.Node().Do(func() error {
			all, err := n.Node().NFTables()
			if err != nil {
				return err
			}
			tables = len(all)
			_, err = n.Node().TunnelNAT([]uint16{8472})
			return err
		})
		return tables, err
	}
	if tables, err := look(); tables != 0 || err == nil || !strings.Contains(err.Error(), "nf_conntrack_netlink is not loaded") {
		t.Errorf("%d tables, %v; want none, and flows that cannot be asked for", tables, err)
	}
	files["sys/module/nf_tables/refcnt"], files["sys/module/nf_conntrack_netlink/refcnt"] = "1\n", "1\n"
	if tables, err := look(); tables != 1 || err != nil {
		t.Errorf("%d tables, %v with the modules loaded; want 1", tables, err)
	}
}
