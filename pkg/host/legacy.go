package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// legacyMaxSize bounds one legacy table: 35,000 entries take 8 MiB.
const legacyMaxSize = 256 << 20

// The socket options of the legacy backend; both families have the same numbers at their own level (IPT_BASE_CTL and IP6T_BASE_CTL are 64).
const (
	legacyGetInfo    = 64
	legacyGetEntries = 65
)

// legacyFamily is one of the two families of the legacy backend, with the layout of its entries (struct ipt_entry and struct ip6t_entry).
type legacyFamily struct {
	name    string // ip, ip6
	proto   uint8  // NFPROTO_IPV4, NFPROTO_IPV6
	names   string // the file below /proc/net that lists the registered tables
	domain  int
	level   int
	entry   int // size of an entry's head
	offsets int // of target_offset and next_offset
}

func legacyFamilies() []legacyFamily {
	return []legacyFamily{
		{name: "ip", proto: unix.NFPROTO_IPV4, names: "ip_tables_names", domain: unix.AF_INET, level: unix.IPPROTO_IP, entry: 112, offsets: 88},
		{name: "ip6", proto: unix.NFPROTO_IPV6, names: "ip6_tables_names", domain: unix.AF_INET6, level: unix.IPPROTO_IPV6, entry: 168, offsets: 140},
	}
}

// Legacy reads the tables of iptables-legacy and ip6tables-legacy. It must be called inside Do. Asking the kernel for a table makes it, so only those
// are asked for that /proc/net/ip_tables_names already lists; a kernel without that file has none. It needs CAP_NET_ADMIN.
func (n *NS) Legacy() ([]facts.Table, error) {
	var tables []facts.Table
	for _, f := range legacyFamilies() {
		names, err := n.legacyNames(f)
		if err != nil {
			return nil, fmt.Errorf("read legacy tables: %w", err)
		}
		for _, name := range names {
			table, err := f.facts(name)
			if err != nil {
				return nil, fmt.Errorf("read legacy table %s %s: %w", f.name, name, err)
			}
			tables = append(tables, table)
		}
	}
	return tables, nil
}

// legacyNames lists the registered tables of a family. Below another root than / the list may be a file that somebody made; what the kernel of this
// thread does not list as well is refused, since asking for it would make it.
func (n *NS) legacyNames(f legacyFamily) ([]string, error) {
	names, err := legacyList(n.procNet(f.names))
	if err != nil || len(names) == 0 || n.root == "/" {
		return names, err
	}
	real, err := legacyList(filepath.Join("/proc/thread-self/net", f.names))
	if err != nil {
		return nil, err
	}
	if missing := others(names, real); missing != nil {
		return nil, fmt.Errorf("%s lists %s, which this kernel does not have", f.names, strings.Join(missing, ", "))
	}
	return names, nil
}

func legacyList(path string) ([]string, error) {
	data, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := strings.Fields(string(data))
	// The kernel copies the name into 32 bytes (XT_TABLE_MAXNAMELEN).
	names = slices.DeleteFunc(names, func(name string) bool { return len(name) >= 32 })
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (f legacyFamily) facts(name string) (facts.Table, error) {
	t, err := f.read(name)
	if err != nil {
		return facts.Table{}, err
	}
	return t.facts()
}

// read gets one table. The kernel answers EAGAIN when the table was replaced between the two questions.
func (f legacyFamily) read(name string) (*legacyTable, error) {
	fd, err := unix.Socket(f.domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	for try := 1; ; try++ {
		t, err := f.once(fd, name)
		if !errors.Is(err, unix.EAGAIN) || try == dumpTries {
			return t, err
		}
	}
}

// The structures struct ipt_getinfo and struct ipt_get_entries; those of IPv6 are the same.
const (
	legacyNameLen     = 32
	legacyInfoSize    = 84 // name, valid_hooks, hook_entry[5], underflow[5], num_entries, size
	legacyEntriesHead = 40 // name, size, padding
)

func (f legacyFamily) once(fd int, name string) (*legacyTable, error) {
	info := make([]byte, legacyInfoSize)
	copy(info, name)
	if err := getsockopt(fd, f.level, legacyGetInfo, info); err != nil {
		return nil, fmt.Errorf("get info: %w", err)
	}
	size := xtWord(info, legacyInfoSize-4)
	if size > legacyMaxSize {
		return nil, fmt.Errorf("a table of %d bytes", size)
	}
	blob := make([]byte, legacyEntriesHead+int(size))
	copy(blob, name)
	copy(blob[legacyNameLen:], info[legacyInfoSize-4:])
	if err := getsockopt(fd, f.level, legacyGetEntries, blob); err != nil {
		return nil, fmt.Errorf("get entries: %w", err)
	}
	return f.parse(name, info, blob[legacyEntriesHead:])
}

// getsockopt fills a buffer whose content also says what is asked for, which the functions of x/sys have no form for.
func getsockopt(fd, level, option int, buf []byte) error {
	size := uint32(len(buf))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(&size)), 0)
	switch {
	case errno != 0:
		return errno
	case int(size) != len(buf):
		return fmt.Errorf("%d bytes instead of %d", size, len(buf))
	}
	return nil
}
