package host

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxFile bounds what is read of a file whose size the kernel or the distribution keeps small, in bytes.
const maxFile = 1 << 20

// Name is the node's host name: that of the root's etc/hostname, else the kernel's.
func (h *Host) Name() string {
	if name := firstWord(h.text("etc/hostname")); name != "" {
		return name
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Nodename[:])
}

// KernelRelease is what uname -r prints; empty where it cannot be read.
func (h *Host) KernelRelease() string {
	if h.root != "/" {
		return firstWord(h.text("proc/sys/kernel/osrelease"))
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// BootID is the random name of this boot; empty where it cannot be read.
func (h *Host) BootID() string { return firstWord(h.text("proc/sys/kernel/random/boot_id")) }

// Distribution is PRETTY_NAME of os-release(5); empty where there is none.
func (h *Host) Distribution() string {
	for _, path := range []string{"etc/os-release", "usr/lib/os-release"} {
		if name := parsePrettyName(h.text(path)); name != "" {
			return name
		}
	}
	return ""
}

// Memory is the node's RAM in bytes; 0 where it cannot be read.
func (h *Host) Memory() uint64 { return parseMemTotal(h.text("proc/meminfo")) }

// CPUs is how many processors are online; 0 where that cannot be read.
func (h *Host) CPUs() int { return parseCPUs(h.text("sys/devices/system/cpu/online")) }

// Kubelet says whether a kubelet runs, alone or within another program, or is set up to run: has a file that it cannot start without. Its
// directory alone says nothing: kubeadm reset empties /var/lib/kubelet and leaves it there. A process counts where it lives in the node's network namespace, as
// each kubelet does: one in another is that of another node on this machine (kind). Where that cannot be seen, for want of privilege, it counts.
func (h *Host) Kubelet() bool {
	for _, file := range []string{"var/lib/kubelet/config.yaml", "var/lib/kubelet/kubeconfig", "etc/kubernetes/kubelet.conf"} {
		if exists(h.Path(file)) {
			return true
		}
	}
	for _, pid := range h.pids() {
		switch h.comm(pid) {
		case "kubelet", "kubelite", "k3s", "k3s-server", "k3s-agent":
			if here, err := h.livesHere(h.Path("proc", strconv.Itoa(pid))); here || err != nil {
				return true
			}
		}
	}
	return false
}

// pids are the node's processes in ascending order; none where proc cannot be read.
func (h *Host) pids() []int {
	d, err := os.Open(h.Path("proc"))
	if err != nil {
		return nil
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// comm is the name of a process; empty where it is gone.
func (h *Host) comm(pid int) string {
	return strings.TrimSuffix(h.text(filepath.Join("proc", strconv.Itoa(pid), "comm")), "\n")
}

// text reads a small file below the root; empty where it cannot be read or is larger than a file of its kind is.
func (h *Host) text(path string) string {
	data, err := readSmall(h.Path(path))
	if err != nil {
		return ""
	}
	return string(data)
}

func firstWord(s string) string {
	if words := strings.Fields(s); len(words) > 0 {
		return words[0]
	}
	return ""
}

// parsePrettyName finds PRETTY_NAME of an os-release file, without its quotes.
func parsePrettyName(s string) string {
	for line := range strings.Lines(s) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

// parseCPUs counts a list such as "0-3,6".
func parseCPUs(s string) int {
	count := 0
	for part := range strings.SplitSeq(firstWord(s), ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		a, err := strconv.ParseUint(from, 10, 16)
		b, err2 := strconv.ParseUint(to, 10, 16)
		if err != nil || err2 != nil || b < a {
			return 0
		}
		count += int(b-a) + 1
	}
	return count
}

// parseMemTotal finds MemTotal of meminfo, which is in KiB, and gives bytes.
func parseMemTotal(s string) uint64 {
	for line := range strings.Lines(s) {
		v, ok := strings.CutPrefix(line, "MemTotal:")
		if !ok {
			continue
		}
		kib, err := strconv.ParseUint(firstWord(v), 10, 54)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}
