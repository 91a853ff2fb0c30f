package host

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/netmend/netmend/pkg/facts"
)

// The two ways to read configuration files.
const (
	cniBrief    = true
	cniThorough = false
)

// BriefCNI is CNI for a process that lives for milliseconds: a list of the usual form is decoded without libcni, whose types take encoding/json longer to learn
// than all that is in the file. A file of any other form is left to libcni, so that the two never
// differ about what can be used, unless an object has a key twice.
func (h *Host) BriefCNI() (*facts.CNI, error) {
	c, err := h.readCNI(cniBrief)
	if err != nil {
		return nil, fmt.Errorf("read CNI configuration: %w", err)
	}
	return &c.CNI, nil
}

// briefly reads a list whose fields all have the form that the specification gives them; false for any other.
func (p *cniParser) briefly(f *facts.CNIFile, data []byte) bool {
	var o cniObject
	if filepath.Ext(f.Name) != ".conflist" || json.Unmarshal(data, &o) != nil {
		return false
	}
	name, version := o.text("name"), o.text("cniVersion")
	plugins, _ := o["plugins"].([]any)
	if odd(o, "name", "cniVersion", "cniVersions", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "plugins") {
		return false
	}
	if name == "" || version == "" || o["cniVersions"] != nil || o["disableCheck"] != nil || o["disableGC"] != nil || o["loadOnlyInlinedPlugins"] != nil ||
		len(plugins) == 0 || len(plugins) > maxPlugins {
		return false
	}
	if more, err := p.inlined(name); err != nil || len(more) > 0 {
		return false
	}
	all := make([]cniObject, len(plugins))
	for i, v := range plugins {
		all[i], _ = v.(map[string]any)
		if !usualPlugin(all[i]) {
			return false
		}
	}
	f.Network, f.Version = name, version
	for _, one := range all {
		p.add(f, facts.CNIPlugin{Type: one.text("type"), IPAM: one.object("ipam").text("type"), Capabilities: capabilities(one)}, one)
	}
	return true
}

// usualPlugin says whether the fields of a plugin that libcni decodes have their right types.
func usualPlugin(o cniObject) bool {
	ok := o.text("type") != "" && !odd(o, "type", "name", "cniVersion", "ipam", "capabilities", "dns", "prevResult", "cni.dev/valid-attachments") && !odd(o.object("ipam"), "type")
	for key, v := range o {
		var right bool
		switch key {
		case "type", "name", "cniVersion":
			_, right = v.(string)
		case "ipam":
			ipam, object := v.(map[string]any)
			_, text := ipam["type"].(string)
			right = object && (text || ipam["type"] == nil)
		case "capabilities":
			list, object := v.(map[string]any)
			right = object
			for _, c := range list {
				_, flag := c.(bool)
				right = right && flag
			}
		case "dns", "prevResult", "cni.dev/valid-attachments":
			right = false
		default:
			right = true
		}
		ok = ok && right
	}
	return ok
}

// odd says whether a key differs from one of these by the case of its letters alone, which encoding/json takes for the same.
func odd(o cniObject, keys ...string) bool {
	for key := range o {
		for _, known := range keys {
			if key != known && strings.EqualFold(key, known) {
				return true
			}
		}
	}
	return false
}

func capabilities(o cniObject) map[string]bool {
	list, _ := o["capabilities"].(map[string]any)
	if list == nil {
		return nil
	}
	out := make(map[string]bool, len(list))
	for name, v := range list {
		out[name], _ = v.(bool)
	}
	return out
}
