package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// programs are what of this machine runs in the guest, each with its shared libraries.
var programs = []string{"ip", "bridge", "nft", "ipset", "ipvsadm", "ethtool", "conntrack", "kmod", "nsenter", "sysctl", "xtables-nft-multi", "xtables-legacy-multi", "dash", "flock", "sleep"}

// links are the other names of programs. Everything else is busybox, whose shell would prefer its own ip and nsenter to these.
var links = map[string]string{
	"bin/sh":                        "dash",
	"sbin/modprobe":                 "kmod",
	"usr/sbin/iptables":             "xtables-nft-multi",
	"usr/sbin/iptables-save":        "xtables-nft-multi",
	"usr/sbin/iptables-restore":     "xtables-nft-multi",
	"usr/sbin/iptables-nft":         "xtables-nft-multi",
	"usr/sbin/iptables-nft-save":    "xtables-nft-multi",
	"usr/sbin/ip6tables":            "xtables-nft-multi",
	"usr/sbin/ip6tables-save":       "xtables-nft-multi",
	"usr/sbin/ip6tables-restore":    "xtables-nft-multi",
	"usr/sbin/ip6tables-nft":        "xtables-nft-multi",
	"usr/sbin/iptables-legacy":      "xtables-legacy-multi",
	"usr/sbin/iptables-legacy-save": "xtables-legacy-multi",
	"usr/sbin/ip6tables-legacy":     "xtables-legacy-multi",
}

// modules are the parts of the kernel's tree that a node may need; modprobe chooses among them.
var modules = []string{"kernel/net/", "kernel/drivers/net/", "kernel/drivers/virtio/", "kernel/lib/", "kernel/crypto/", "kernel/arch/x86/crypto/", "modules."}

// nodeTests are the tests of nodes in namespaces whose outcome the kernel's version decides.
const nodeTests = "^Test(Tunnel|UDP|DHCP|PodMTU|IPForward|RPFilter|Listen|HealthyFlannel)"

const initScript = `#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ TMPDIR=/tmp NETMENDCTL=/usr/bin/netmendctl NETMEND_GUEST=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
hostname guest
modprobe virtio_pci && modprobe virtio_net
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
stty -F /dev/ttyS1 raw
cd /tmp
if [ -n "$NETMEND_BENCH" ]; then
	/usr/bin/inside -test.run='^$' -test.bench=. -test.benchtime=1x -test.timeout=$NETMEND_LIMIT >/dev/ttyS1 2>&1
	echo "GUEST END" >/dev/ttyS1
	poweroff -f
fi
/usr/bin/inside -test.v -test.timeout=$NETMEND_LIMIT >/dev/ttyS1 2>&1
/usr/bin/nodes -test.v -test.timeout=15m -test.run=` + "'" + nodeTests + "'" + ` >/dev/ttyS1 2>&1
echo "GUEST END" >/dev/ttyS1
sync
poweroff -f
`

// image writes an initramfs with the kernel's modules, the machine's programs and these programs besides, by their path in the guest.
func image(to, kernel string, besides map[string]string) error {
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	a := newArchive(out)
	for _, dir := range []string{"proc", "sys", "dev", "run", "tmp", "etc", "var/lib"} {
		a.dir(dir)
	}
	a.data("init", 0o755, []byte(initScript))
	// Without it ipset does not understand the protocols in kube-proxy's entries.
	a.data("etc/protocols", 0o644, []byte("icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\n"))
	a.data("etc/os-release", 0o644, []byte("PRETTY_NAME=\"netmend guest\"\n"))
	if err := addPrograms(a); err != nil {
		return err
	}
	for name, from := range besides {
		if err := a.file(name, from); err != nil {
			return err
		}
	}
	err = a.tree("lib/modules", filepath.Join(kernel, "lib/modules"), func(path string) bool {
		_, path, _ = strings.Cut(path, "/") // the release
		for _, m := range modules {
			if strings.HasPrefix(path, m) {
				return true
			}
		}
		return false
	})
	if err != nil {
		return err
	}
	return a.close()
}

func addPrograms(a *archive) error {
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return err
	}
	if err := a.file("bin/busybox", busybox); err != nil {
		return err
	}
	for _, name := range programs {
		from, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		if err := a.file(filepath.Join("usr/sbin", name), from); err != nil {
			return err
		}
		if err := addLibraries(a, from); err != nil {
			return err
		}
	}
	for name, target := range links {
		if !strings.HasPrefix(name, "usr/") {
			target = "../usr/sbin/" + target
		}
		a.link(name, target)
	}
	plugins, err := filepath.Glob("/usr/lib/*/xtables")
	if err != nil || len(plugins) == 0 {
		return fmt.Errorf("no plugins of iptables on this machine: %w", err)
	}
	if err := a.tree(strings.TrimPrefix(plugins[0], "/"), plugins[0], func(string) bool { return true }); err != nil {
		return err
	}
	return nil
}

// library matches a line of ldd: "libmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x…)", or the loader alone.
var library = regexp.MustCompile(`(?m)^\s+(?:\S+ => )?(/\S+) \(0x`)

func addLibraries(a *archive, program string) error {
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", program, err)
	}
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		if err := a.file(strings.TrimPrefix(m[1], "/"), m[1]); err != nil {
			return err
		}
	}
	return nil
}
