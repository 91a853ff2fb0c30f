package host

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// Kernel structures of linux/ethtool.h that x/sys does not have. They are fixed, as all of ethtool's are.
const (
	ethSSFeatures   = 4  // ETH_SS_FEATURES
	ethGStringLen   = 32 // ETH_GSTRING_LEN
	ethtoolGSSetLen = 0x37
	maxFeatures     = 1024 // 6.18 has 64
)

// ethtoolFeatures is struct ethtool_gfeatures: blocks of 32 features.
type ethtoolFeatures struct {
	cmd, size uint32
	blocks    [maxFeatures / 32]featureBlock
}

type featureBlock struct{ available, requested, active, neverChanged uint32 }

type ethtoolStrings struct {
	cmd, set, count uint32
	data            [maxFeatures * ethGStringLen]byte
}

type ethtoolSetInfo struct {
	cmd, reserved uint32
	mask          uint64
	count         uint32
	_             uint32
}

// Ethtool reads features and drivers of the links of one namespace. The caller closes it.
type Ethtool struct {
	fd    int
	names []string
}

// Ethtool opens a socket for ethtool's calls. It must be called inside Do and, as the socket stays in the namespace, used anywhere.
func (n *NS) Ethtool() (*Ethtool, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open ethtool socket: %w", err)
	}
	return &Ethtool{fd: fd}, nil
}

// Close releases the socket.
func (e *Ethtool) Close() error { return unix.Close(e.fd) }

// Driver is the name of a link's driver (ETHTOOL_GDRVINFO); ErrAbsent where it has none, or the link is gone.
func (e *Ethtool) Driver(link string) (string, error) {
	info, err := unix.IoctlGetEthtoolDrvinfo(e.fd, link)
	if err != nil {
		return "", ethtoolError("read driver", link, err)
	}
	return unix.ByteSliceToString(info.Driver[:]), nil
}

// Features reads the features of a link by the names that ethtool -k prints, without those that are off for good. ErrAbsent where the link has
// none, or is gone.
func (e *Ethtool) Features(link string) (map[string]facts.Feature, error) {
	if e.names == nil {
		names, err := e.featureNames(link)
		if err != nil {
			return nil, ethtoolError("read feature names", link, err)
		}
		e.names = names
	}
	var f ethtoolFeatures
	f.cmd, f.size = unix.ETHTOOL_GFEATURES, uint32(len(f.blocks))
	if err := e.ioctl(link, unsafe.Pointer(&f)); err != nil {
		return nil, ethtoolError("read features", link, err)
	}
	return features(e.names, f.blocks[:]), nil
}

// features gives the features that are on or can be switched on.
func features(names []string, blocks []featureBlock) map[string]facts.Feature {
	all := make(map[string]facts.Feature, len(names))
	for i, name := range names {
		if name == "" || i/32 >= len(blocks) {
			continue
		}
		b, bit := blocks[i/32], uint32(1)<<(i%32)
		on, fixed := b.active&bit != 0, b.available&bit == 0 || b.neverChanged&bit != 0
		if on || !fixed {
			all[printedFeature(name)] = facts.Feature{On: on, Fixed: fixed}
		}
	}
	return all
}

// featureNames asks for the kernel's names, which are the same for every link.
func (e *Ethtool) featureNames(link string) ([]string, error) {
	info := ethtoolSetInfo{cmd: ethtoolGSSetLen, mask: 1 << ethSSFeatures}
	if err := e.ioctl(link, unsafe.Pointer(&info)); err != nil {
		return nil, err
	}
	if info.count > maxFeatures {
		return nil, fmt.Errorf("%d features", info.count)
	}
	s := ethtoolStrings{cmd: unix.ETHTOOL_GSTRINGS, set: ethSSFeatures, count: info.count}
	if err := e.ioctl(link, unsafe.Pointer(&s)); err != nil {
		return nil, err
	}
	names := make([]string, 0, info.count)
	for i := range min(int(s.count), maxFeatures) {
		names = append(names, unix.ByteSliceToString(s.data[i*ethGStringLen:][:ethGStringLen]))
	}
	return names, nil
}

// ifreqData is struct ifreq with a pointer in its union.
type ifreqData struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16]byte
}

func (e *Ethtool) ioctl(link string, data unsafe.Pointer) error {
	r := ifreqData{data: data}
	if len(link) >= len(r.name) {
		return unix.ENODEV
	}
	copy(r.name[:], link)
	var pin runtime.Pinner
	pin.Pin(data)
	defer pin.Unpin()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(e.fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&r)))
	if errno != 0 {
		return errno
	}
	return nil
}

func ethtoolError(what, link string, err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("%s of %s: %w", what, link, ErrAbsent)
	}
	return fmt.Errorf("%s of %s: %w", what, link, err)
}

// printedFeature gives the name that ethtool -k prints, and -K takes, for a kernel's name: the few that had names of their own before features
// had strings keep those.
func printedFeature(kernel string) string {
	switch kernel {
	case "rx-checksum":
		return "rx-checksumming"
	case "tx-generic-segmentation":
		return "generic-segmentation-offload"
	case "rx-gro":
		return "generic-receive-offload"
	case "rx-lro":
		return "large-receive-offload"
	case "rx-vlan-hw-parse":
		return "rx-vlan-offload"
	case "tx-vlan-hw-insert":
		return "tx-vlan-offload"
	case "rx-ntuple-filter":
		return "ntuple-filters"
	case "rx-hashing":
		return "receive-hashing"
	}
	return kernel
}
