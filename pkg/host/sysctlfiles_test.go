package host

import (
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestSysctlFiles(t *testing.T) {
	files := map[string]string{
		"etc/sysctl.conf":               "net.ipv4.ip_forward=1\n",
		"etc/sysctl.d/50-a.conf":        "# net.ipv4.ip_forward = 2\n; x\n\n-net.ipv4.conf.*.rp_filter = 2\nkernel.panic = 5\n",
		"usr/lib/sysctl.d/50-a.conf":    "net.ipv4.ip_forward = 7\n",
		"usr/lib/sysctl.d/10-b.conf":    "net/ipv4/conf/eth0.5/rp_filter = 1\nnet.ipv4.conf.eth0/5.forwarding=1\n",
		"run/sysctl.d/60-masked.conf":   "net.ipv4.ip_forward = 8\n",
		"usr/lib/sysctl.d/README":       "net.ipv4.ip_forward = 9\n",
		"usr/lib/sysctl.d/70-x.conf/no": "x",
		"etc/sysctl.d/55-except.conf":   "-net.ipv4.conf.eth0.rp_filter\n  net.ipv4.tcp_rmem =  4096\t131072  6291456 \nnet.core.somaxconn=\n",
	}
	setting := func(file string, line int, key, value string) facts.SysctlSetting {
		return facts.SysctlSetting{File: file, Line: line, Key: key, Value: value}
	}
	first := []facts.SysctlSetting{
		setting("/usr/lib/sysctl.d/10-b.conf", 1, "net/ipv4/conf/eth0.5/rp_filter", "1"),
		setting("/usr/lib/sysctl.d/10-b.conf", 2, "net/ipv4/conf/eth0.5/forwarding", "1"),
		setting("/etc/sysctl.d/50-a.conf", 4, "net/ipv4/conf/*/rp_filter", "2"),
		setting("/etc/sysctl.d/55-except.conf", 2, "net/ipv4/tcp_rmem", "4096 131072 6291456"),
		setting("/etc/sysctl.d/55-except.conf", 3, "net/core/somaxconn", ""),
	}
	for _, tt := range []struct {
		name string
		link string // of /etc/sysctl.conf in the directories
		conf facts.SysctlSetting
		at   int // its place among the others
	}{
		{"unlinked", "", setting("/etc/sysctl.conf", 1, "net/ipv4/ip_forward", "1"), 5},
		{"linked", "etc/sysctl.d/20-sysctl.conf", setting("/etc/sysctl.d/20-sysctl.conf", 1, "net/ipv4/ip_forward", "1"), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := tree(t, files)
			if err := os.Symlink("/dev/null", h.Path("etc/sysctl.d/60-masked.conf")); err != nil {
				t.Fatal(err)
			}
			if tt.link != "" {
				if err := os.Symlink("/etc/sysctl.conf", h.Path(tt.link)); err != nil {
					t.Fatal(err)
				}
			}
			got, err := h.SysctlFiles()
			if err != nil {
				t.Fatal(err)
			}
			want := append(append(append([]facts.SysctlSetting{}, first[:tt.at]...), tt.conf), first[tt.at:]...)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("SysctlFiles (-want +got):\n%s", d)
			}
		})
	}
}

func TestSysctlFilesNothing(t *testing.T) {
	if got, err := tree(t, nil).SysctlFiles(); err != nil || got != nil {
		t.Errorf("SysctlFiles = %v, %v; want none", got, err)
	}
}

func FuzzSysctlFile(f *testing.F) {
	f.Add("net.ipv4.conf.eth0/5.forwarding = 1\n-net/ipv4=2\n#\n=\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSysctlFile("x", text) {
			if s.Line < 1 || s.Key == "" {
				t.Errorf("parseSysctlFile(%q) = %+v", text, s)
			}
		}
	})
}
