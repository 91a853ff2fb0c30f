package fix

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Knob names something that can be read and set: a family, then its argument behind a colon.
type Knob string

// The families of knobs, with the values they take.
const (
	FamilyEthtool = "ethtool" // ethtool:FEATURE on a link: "on" or "off"
	FamilySysctl  = "sysctl"  // sysctl:PATH below /proc/sys in the namespace of the object: the file's text
	FamilyModule  = "module"  // module:NAME: "absent" or "loaded"
	FamilyRule    = "rule"    // rule:NAME[:ARGUMENT]: "absent" or "present"
	FamilyIPAM    = "ipam"    // ipam:DIRECTORY:ADDRESS: the reservation's text or "absent"
)

// Knobs without an argument.
const (
	LinkMTU Knob = "link-mtu"     // of a link: bytes
	Hairpin Knob = "port-hairpin" // of a bridge port: "on" or "off"
)

// The values of knobs that are there or not.
const (
	On      = "on"
	Off     = "off"
	Absent  = "absent"
	Present = "present"
	Loaded  = "loaded"
)

// Ethtool is the knob of an ethtool feature, by the name that ethtool -k prints.
func Ethtool(feature string) Knob { return Knob(FamilyEthtool + ":" + feature) }

// Sysctl is the knob of a sysctl, by its path below /proc/sys ("net/ipv4/conf/eth0.5/rp_filter": a device name may hold dots).
func Sysctl(path string) Knob { return Knob(FamilySysctl + ":" + path) }

// Module is the knob of a kernel module.
func Module(name string) Knob { return Knob(FamilyModule + ":" + name) }

// RuleMSSClamp is the knob of netmend's rule that clamps TCP's segment size to the path MTU.
const RuleMSSClamp Knob = FamilyRule + ":mss-clamp"

// RuleTunnelAccept is the knob of netmend's rule that accepts the tunnel's UDP port ahead of masquerading.
func RuleTunnelAccept(port uint16) Knob {
	return Knob(FamilyRule + ":tunnel-accept:" + strconv.Itoa(int(port)))
}

// RuleForwardAccept is the knob of netmend's rules that accept a pod CIDR in FORWARD, both ways.
func RuleForwardAccept(cidr netip.Prefix) Knob {
	return Knob(FamilyRule + ":forward-accept:" + cidr.String())
}

// Reservation is the knob of one host-local reservation.
func Reservation(dir string, ip netip.Addr) Knob {
	return Knob(fmt.Sprintf("%s:%s:%s", FamilyIPAM, dir, ip))
}

// Split gives the knob's family and argument; the argument is empty for a knob that has none.
func (k Knob) Split() (family, arg string) {
	family, arg, _ = strings.Cut(string(k), ":")
	return family, arg
}

// sysctlPath is what may stand below /proc/sys: no empty, "." or ".." step, only what device and value names hold.
// It is compiled at first use: the CNI plugin, which starts for each pod, seldom needs it.
var sysctlPath = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^net(/[A-Za-z0-9_@:+=~%-][A-Za-z0-9_.@:+=~%-]*)+$`)
})

// ValidSysctl says whether a path may be a sysctl knob's: it is below net/ and cannot leave /proc/sys.
func ValidSysctl(path string) bool { return sysctlPath().MatchString(path) }

// SameValue says whether two texts are one value of the knob. The kernel prints a sysctl of several numbers with tabs, whatever separated them when it was written.
func SameValue(k Knob, a, b string) bool {
	if family, _ := k.Split(); family == FamilySysctl {
		return slices.Equal(strings.Fields(a), strings.Fields(b))
	}
	return a == b
}
