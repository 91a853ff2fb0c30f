package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/types/create"

	"github.com/netmend/netmend/pkg/facts"
)

// handOn gives the result as it is to be written. A runtime hands it over in the version of the configuration, so that it is passed on as it came, with
// whatever it holds; only one of another version goes through the library's conversion.
func handOn(c *Config) ([]byte, error) {
	var prev any
	if err := json.Unmarshal(c.Prev, &prev); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "decode prevResult: "+err.Error(), "")
	}
	c.prev, _ = prev.(map[string]any)
	if c.prev == nil {
		return nil, types.NewError(types.ErrDecodingFailure, "decode prevResult: it is not an object", "")
	}
	version, _ := c.prev["cniVersion"].(string)
	switch version {
	case c.CNIVersion:
		return c.Prev, nil
	case "":
		return patch(c.Prev, func(r map[string]any) { r["cniVersion"] = c.CNIVersion })
	}
	r, err := create.CreateFromBytes(c.Prev)
	if err == nil {
		r, err = r.GetAsVersion(c.CNIVersion)
	}
	var b bytes.Buffer
	if err == nil {
		err = r.PrintTo(&b)
	}
	if err != nil {
		return nil, types.NewError(types.ErrIncompatibleCNIVersion, fmt.Sprintf("convert prevResult from version %s to %s: %v", version, c.CNIVersion, err), "")
	}
	return b.Bytes(), nil
}

// patch changes a result and keeps everything else of it, numbers as they are written.
func patch(result []byte, change func(map[string]any)) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(result))
	d.UseNumber()
	var r map[string]any
	if err := d.Decode(&r); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "decode prevResult: "+err.Error(), "")
	}
	if r == nil {
		r = map[string]any{}
	}
	change(r)
	out, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write result: %w", err)
	}
	return out, nil
}

// patchMTU sets the MTU of links by their names, where the result has one: it is part of a result since version 1.1.0.
func patchMTU(result []byte, mtu map[string]int) ([]byte, error) {
	return patch(result, func(r map[string]any) {
		list, _ := r["interfaces"].([]any)
		for _, item := range list {
			link, _ := item.(map[string]any)
			name, _ := link["name"].(string)
			if to, mended := mtu[name]; mended && (link["mtu"] != nil || r["cniVersion"] == "1.1.0") {
				link["mtu"] = to
			}
		}
	})
}

// maxItems bounds what is read of each list of a result.
const maxItems = 64

// readResult gives what the result says of the pod: its links are the one that the runtime asked for and all that the result has in a sandbox. What has another
// form than the specification's counts as absent: whoever gets the result next will say what is wrong. The result was decoded without a type of its own,
// because making one known to encoding/json takes longer than all that is read here.
func readResult(result map[string]any, ifName string) *facts.PodResult {
	out := &facts.PodResult{Links: []string{ifName}}
	interfaces := items(result, "interfaces")
	for _, i := range interfaces {
		if name := word(i, "name"); word(i, "sandbox") != "" && name != "" && !slices.Contains(out.Links, name) {
			out.Links = append(out.Links, name)
		}
	}
	for _, ip := range items(result, "ips") {
		p, err := netip.ParsePrefix(word(ip, "address"))
		if err != nil {
			continue
		}
		a := facts.ResultAddress{Prefix: netip.PrefixFrom(p.Addr().Unmap(), p.Bits()), Gateway: parseAddr(word(ip, "gateway"))}
		if at, ok := ip["interface"].(float64); ok && at >= 0 && at < float64(len(interfaces)) {
			a.Link = word(interfaces[int(at)], "name")
		}
		out.Addresses = append(out.Addresses, a)
	}
	for _, r := range items(result, "routes") {
		table, _ := r["table"].(float64)
		if p, err := netip.ParsePrefix(word(r, "dst")); err == nil {
			out.Routes = append(out.Routes, facts.ResultRoute{Dst: p.Masked(), Gateway: parseAddr(word(r, "gw")), Table: int(table)})
		}
	}
	return out
}

// items are the objects of a list. One that is none stays as an empty one, so that the others keep their numbers.
func items(o map[string]any, key string) []map[string]any {
	list, _ := o[key].([]any)
	out := make([]map[string]any, min(len(list), maxItems))
	for i := range out {
		out[i], _ = list[i].(map[string]any)
	}
	return out
}

func word(o map[string]any, key string) string {
	s, _ := o[key].(string)
	return s
}

func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
