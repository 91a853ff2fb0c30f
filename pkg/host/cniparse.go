package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// hostLocalDir is where host-local keeps its reservations unless its dataDir says otherwise (plugins/ipam/host-local/backend/disk).
const hostLocalDir = "/var/lib/cni/networks"

// maxPlugins bounds the plugins of one file.
const maxPlugins = 64

// cniParser reads one configuration file by the rules of libcni 1.3, which are the container runtime's.
type cniParser struct {
	flannel   *facts.FlannelEnv                      // nil where there is none
	inlined   func(network string) ([][]byte, error) // plugins in files of their own
	hostLocal []hostLocal                            // of the plugins that use it
}

func (p *cniParser) parse(name string, data []byte) (facts.CNIFile, error) {
	f := facts.CNIFile{Name: name}
	if filepath.Ext(name) != ".conflist" {
		err := p.plugin(&f, data, true)
		return f, err
	}
	var list struct {
		Name     *string           `json:"name"`
		Version  string            `json:"cniVersion"`
		Versions []string          `json:"cniVersions"`
		Check    any               `json:"disableCheck"`
		Inlined  any               `json:"loadOnlyInlinedPlugins"`
		Plugins  []json.RawMessage `json:"plugins"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return f, fmt.Errorf("parse: %w", err)
	}
	if list.Name == nil {
		return f, errors.New("parse: no name")
	}
	f.Network, f.Version = *list.Name, latest(append(list.Versions, list.Version))
	var err error
	if f.DisableCheck, err = boolean("disableCheck", list.Check); err != nil {
		return f, err
	}
	only, err := boolean("loadOnlyInlinedPlugins", list.Inlined)
	if err != nil {
		return f, err
	}
	var chain [][]byte
	for _, raw := range list.Plugins {
		chain = append(chain, raw)
	}
	if !only { // those in files of their own come behind the list's
		more, err := p.inlined(f.Network)
		if err != nil {
			return f, err
		}
		chain = append(chain, more...)
	}
	if len(chain) == 0 {
		return f, errors.New("parse: no plugins")
	}
	if len(chain) > maxPlugins {
		return f, fmt.Errorf("parse: more than %d plugins", maxPlugins)
	}
	for _, raw := range chain {
		if err := p.plugin(&f, raw, false); err != nil {
			return f, err
		}
	}
	return f, nil
}

// boolean reads a flag that libcni takes as a JSON boolean or as the text of one.
func boolean(name string, v any) (bool, error) {
	switch v := v.(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
	}
	return false, fmt.Errorf("parse: invalid value %v for %s", v, name)
}

// latest gives the highest of the versions that libcni speaks (up to 1.1.0).
func latest(versions []string) string {
	best, bestKey := "", -1
	for _, v := range versions {
		parts := strings.SplitN(v, ".", 3)
		key := 0
		for i := range 3 {
			n := 0
			if i < len(parts) {
				n, _ = strconv.Atoi(parts[i])
			}
			key = key*1000 + min(max(n, 0), 999)
		}
		if v != "" && key > bestKey && key <= 1001000 {
			best, bestKey = v, key
		}
	}
	return best
}

// plugin adds one plugin to the file. Only what libcni itself decodes can make it an error; the rest belongs to the plugin.
func (p *cniParser) plugin(f *facts.CNIFile, data []byte, single bool) error {
	var conf struct {
		Name         string          `json:"name"`
		Version      string          `json:"cniVersion"`
		Type         string          `json:"type"`
		Capabilities map[string]bool `json:"capabilities"`
		IPAM         struct {
			Type string `json:"type"`
		} `json:"ipam"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		return fmt.Errorf("parse plugin: %w", err)
	}
	if conf.Type == "" {
		return errors.New("parse plugin: missing 'type'")
	}
	if single {
		f.Network, f.Version = conf.Name, conf.Version
	}
	var all cniObject
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("parse plugin: %w", err)
	}
	plugin := facts.CNIPlugin{Type: conf.Type, IPAM: conf.IPAM.Type, Capabilities: conf.Capabilities, MTU: all.number("mtu")}
	ipam := all.object("ipam")
	switch conf.Type {
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
	return nil
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
