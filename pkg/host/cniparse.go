package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"

	"github.com/netmend/netmend/pkg/facts"
)

// hostLocalDir is where host-local keeps its reservations unless its dataDir says otherwise (plugins/ipam/host-local/backend/disk).
const hostLocalDir = "/var/lib/cni/networks"

// maxPlugins bounds the plugins of one file.
const maxPlugins = 64

// cniParser reads one configuration file as container runtimes do.
type cniParser struct {
	brief     bool                                   // see [Host.BriefCNI]
	flannel   *facts.FlannelEnv                      // nil where there is none
	inlined   func(network string) ([][]byte, error) // plugins in files of their own
	hostLocal []hostLocal                            // of the plugins that use it
}

func (p *cniParser) parse(name string, data []byte) (facts.CNIFile, error) {
	f := facts.CNIFile{Name: name}
	if p.brief && p.briefly(&f, data) {
		return f, nil
	}
	list, err := p.list(name, data)
	if err != nil {
		return f, err
	}
	if len(list.Plugins) == 0 {
		return f, errors.New("no plugins")
	}
	if len(list.Plugins) > maxPlugins {
		return f, fmt.Errorf("more than %d plugins", maxPlugins)
	}
	f.Network, f.Version, f.DisableCheck = list.Name, list.CNIVersion, list.DisableCheck
	for _, plugin := range list.Plugins {
		if err := p.plugin(&f, plugin); err != nil {
			return f, err
		}
	}
	return f, nil
}

// list decodes a file with libcni itself. Its own way to read files would follow symbolic links out of the root.
func (p *cniParser) list(name string, data []byte) (*libcni.NetworkConfigList, error) {
	if filepath.Ext(name) != ".conflist" {
		single, err := libcni.NetworkPluginConfFromBytes(data)
		if err != nil {
			return nil, err
		}
		//lint:ignore SA1019 the library keeps it for the runtimes, which read such a file by it
		return libcni.ConfListFromConf(single)
	}
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil || list.LoadOnlyInlinedPlugins {
		return list, err
	}
	more, err := p.inlined(list.Name) // those in files of their own come behind the list's
	if err != nil {
		return nil, err
	}
	for _, data := range more {
		plugin, err := libcni.NetworkPluginConfFromBytes(data)
		if err != nil {
			return nil, err
		}
		list.Plugins = append(list.Plugins, plugin)
	}
	return list, nil
}

// plugin adds one plugin to the file. Only what libcni decodes can make it an error; the rest belongs to the plugin.
func (p *cniParser) plugin(f *facts.CNIFile, config *libcni.PluginConfig) error {
	conf := config.Network
	var all cniObject
	if err := json.Unmarshal(config.Bytes, &all); err != nil {
		return fmt.Errorf("parse plugin: %w", err)
	}
	p.add(f, facts.CNIPlugin{Type: conf.Type, IPAM: conf.IPAM.Type, Capabilities: conf.Capabilities}, all)
	return nil
}

// add reads the options of a plugin whose type is known and adds it to the file.
func (p *cniParser) add(f *facts.CNIFile, plugin facts.CNIPlugin, all cniObject) {
	plugin.MTU = all.number("mtu")
	ipam := all.object("ipam")
	switch plugin.Type {
	case "bridge":
		bridgeOptions(&plugin, all)
		plugin.Gateway = all.flag("isGateway") || all.flag("isDefaultGateway")
	case "flannel":
		ipam = p.flannelOptions(&plugin, all)
	}
	if plugin.IPAM == "host-local" {
		l := hostLocal{network: f.Network, dir: ipam.text("dataDir"), sets: rangeSets(ipam)}
		if l.dir == "" {
			l.dir = hostLocalDir
		}
		plugin.DataDir = l.dir
		for _, set := range l.sets {
			for _, r := range set {
				plugin.Subnets = append(plugin.Subnets, r.subnet)
			}
		}
		p.hostLocal = append(p.hostLocal, l)
	}
	f.Plugins = append(f.Plugins, plugin)
}

func bridgeOptions(plugin *facts.CNIPlugin, o cniObject) {
	plugin.Bridge = o.text("bridge")
	if plugin.Bridge == "" {
		plugin.Bridge = "cni0" // defaultBrName of plugins/main/bridge
	}
	plugin.Hairpin, plugin.Promisc, plugin.ForceAddress = o.flag("hairpinMode"), o.flag("promiscMode"), o.flag("forceAddress")
}

// flannelOptions fills in what flannel's plugin hands to its delegate (flannel-io/cni-plugin, flannel_linux.go): a bridge with host-local in the node's
// subnet and flannel's MTU, unless the delegate says otherwise. It returns the delegate's IPAM.
func (p *cniParser) flannelOptions(plugin *facts.CNIPlugin, all cniObject) cniObject {
	delegate := all.object("delegate")
	if kind := delegate.text("type"); kind == "" || kind == "bridge" {
		bridgeOptions(plugin, delegate)
		plugin.Gateway = delegate["isGateway"] == nil || delegate.flag("isGateway") || delegate.flag("isDefaultGateway")
	}
	plugin.MTU = delegate.number("mtu")
	if plugin.MTU == 0 && p.flannel != nil {
		plugin.MTU = p.flannel.MTU
	}
	ipam := all.object("ipam")
	plugin.IPAM = ipam.text("type")
	if plugin.IPAM == "" {
		plugin.IPAM = "host-local"
	}
	if ipam == nil {
		ipam = cniObject{}
	}
	if p.flannel != nil && plugin.IPAM == "host-local" {
		var ranges []any
		for _, s := range []netip.Prefix{p.flannel.Subnet, p.flannel.IPv6Subnet} {
			if s.IsValid() {
				ranges = append(ranges, []any{map[string]any{"subnet": s.Masked().String()}})
			}
		}
		ipam["ranges"] = ranges
		delete(ipam, "subnet")
	}
	return ipam
}

// cniObject is a JSON object of which only some members are known. A member of another type than expected is as good as absent: it is the plugin's to
// refuse.
type cniObject map[string]any

func (o cniObject) text(key string) string {
	s, _ := o[key].(string)
	return s
}

func (o cniObject) flag(key string) bool {
	b, _ := o[key].(bool)
	return b
}

func (o cniObject) number(key string) int {
	f, _ := o[key].(float64)
	if f < 0 || f > 1<<20 {
		return 0
	}
	return int(f)
}

func (o cniObject) object(key string) cniObject {
	m, _ := o[key].(map[string]any)
	return m
}
