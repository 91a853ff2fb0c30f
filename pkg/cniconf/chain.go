package cniconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/containernetworking/cni/libcni"
)

// pluginType is the type of netmend's plugin, which is the name of its program too.
const pluginType = "netmend"

// maxPlugins bounds the plugins of one file.
const maxPlugins = 64

// decode reads a file as libcni does, by the suffix of its name.
func decode(name string, data []byte) (*libcni.NetworkConfigList, error) {
	var list *libcni.NetworkConfigList
	var err error
	if filepath.Ext(name) == ".conflist" {
		list, err = libcni.NetworkConfFromBytes(data)
	} else {
		if data, err = convert(data); err == nil {
			list, err = libcni.NetworkConfFromBytes(data)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case len(list.Plugins) == 0:
		return nil, errors.New("no plugins in the file itself")
	case len(list.Plugins) > maxPlugins:
		return nil, fmt.Errorf("more than %d plugins", maxPlugins)
	}
	return list, nil
}

// types lists the plugins of a list.
func types(list *libcni.NetworkConfigList) (out []string) {
	for _, p := range list.Plugins {
		out = append(out, p.Network.Type)
	}
	return out
}

func own(list *libcni.NetworkConfigList) (at []int) {
	for i, t := range types(list) {
		if t == pluginType {
			at = append(at, i)
		}
	}
	return at
}

// errAlone says that netmend is the only plugin of a chain: it makes no link, so somebody has to look.
var errAlone = errors.New("netmend is the only plugin: put a plugin that makes a link in front of it, or move the file away")

// insert gives the bytes of a list with netmend last. An entry that is there already is kept as it is and moved where it is not last; one that is last
// and the only one changes nothing.
func insert(data []byte, entry json.RawMessage) ([]byte, error) {
	list, err := decode(".conflist", data)
	if err != nil {
		return nil, err
	}
	at := own(list)
	if len(at) == len(list.Plugins) {
		return nil, errAlone
	}
	if len(at) == 1 && at[0] == len(list.Plugins)-1 {
		return data, nil
	}
	if len(at) > 0 {
		plugins, err := pluginSpans(data)
		if err != nil {
			return nil, err
		}
		entry = plugins[at[0]].of(data)
		if data, err = remove(data); err != nil {
			return nil, err
		}
	}
	plugins, err := pluginSpans(data)
	if err != nil {
		return nil, err
	}
	out, err := appendPlugin(data, plugins, entry)
	if err != nil {
		return nil, fmt.Errorf("insert: %w", err)
	}
	return out, check(data, out)
}

// remove gives the bytes of a list without netmend.
func remove(data []byte) ([]byte, error) {
	list, err := decode(".conflist", data)
	if err != nil {
		return nil, err
	}
	at := own(list)
	if len(at) == len(list.Plugins) {
		return nil, errAlone
	}
	for n := len(at) - 1; n >= 0; n-- {
		plugins, err := pluginSpans(data)
		if err != nil {
			return nil, err
		}
		data = cutPlugin(data, plugins, at[n])
	}
	return data, nil
}

// check refuses an edit after which libcni would read anything but the same list with netmend behind it.
func check(before, after []byte) error {
	old, err := decode(".conflist", before)
	if err != nil {
		return err
	}
	got, err := decode(".conflist", after)
	if err != nil {
		return fmt.Errorf("insert: libcni would not read the result: %w", err)
	}
	n := len(old.Plugins)
	same := len(got.Plugins) == n+1 && got.Plugins[n].Network.Type == pluginType && got.Name == old.Name && got.CNIVersion == old.CNIVersion &&
		got.DisableCheck == old.DisableCheck && got.DisableGC == old.DisableGC && got.LoadOnlyInlinedPlugins == old.LoadOnlyInlinedPlugins
	for i := 0; same && i < n; i++ {
		same = bytes.Equal(got.Plugins[i].Bytes, old.Plugins[i].Bytes)
	}
	if !same {
		return errors.New("insert: libcni would read another list")
	}
	return nil
}

// convert makes a list of a single-plugin file, as libcni's ConfListFromConf does, without netmend in it.
func convert(data []byte) ([]byte, error) {
	single, err := libcni.NetworkPluginConfFromBytes(data)
	if err != nil {
		return nil, err
	}
	return wrap(data, single.Network.Name, single.Network.CNIVersion)
}

// listName is the name of the list that a single-plugin file becomes.
func listName(name string) string { return strings.TrimSuffix(name, filepath.Ext(name)) + ".conflist" }

// savedName is where the file is kept meanwhile: libcni reads no such suffix.
func savedName(name string) string { return name + ".netmend" }
