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
	var head struct {
		CNIVersion string `json:"cniVersion"`
	}
	if err := json.Unmarshal(c.Prev, &head); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "decode prevResult: "+err.Error(), "")
	}
	switch head.CNIVersion {
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
		return nil, types.NewError(types.ErrIncompatibleCNIVersion, fmt.Sprintf("convert prevResult from version %s to %s: %v", head.CNIVersion, c.CNIVersion, err), "")
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

// rawResult is what is read of a result, of any version from 0.3.0 on. What has another form than the specification's counts as absent.
type rawResult struct {
	Interfaces []struct {
		Name    string `json:"name"`
		Sandbox string `json:"sandbox"`
	} `json:"interfaces"`
	IPs []struct {
		Interface *int   `json:"interface"`
		Address   string `json:"address"`
		Gateway   string `json:"gateway"`
	} `json:"ips"`
	Routes []struct {
		Dst   string `json:"dst"`
		GW    string `json:"gw"`
		Table int    `json:"table"`
	} `json:"routes"`
}

// maxItems bounds what is read of each list of a result.
const maxItems = 64

// readResult gives what the result says of the pod: its links are the one that the runtime asked for and all that the result has in a sandbox.
func readResult(data []byte, ifName string) *facts.PodResult {
	var raw rawResult
	out := &facts.PodResult{Links: []string{ifName}}
	if json.Unmarshal(data, &raw) != nil { // handed on all the same: whoever reads it next will say what is wrong
		return out
	}
	for _, i := range raw.Interfaces[:min(len(raw.Interfaces), maxItems)] {
		if i.Sandbox != "" && i.Name != "" && !slices.Contains(out.Links, i.Name) {
			out.Links = append(out.Links, i.Name)
		}
	}
	for _, ip := range raw.IPs[:min(len(raw.IPs), maxItems)] {
		p, err := netip.ParsePrefix(ip.Address)
		if err != nil {
			continue
		}
		a := facts.ResultAddress{Prefix: netip.PrefixFrom(p.Addr().Unmap(), p.Bits()), Gateway: parseAddr(ip.Gateway)}
		if ip.Interface != nil && *ip.Interface >= 0 && *ip.Interface < len(raw.Interfaces) {
			a.Link = raw.Interfaces[*ip.Interface].Name
		}
		out.Addresses = append(out.Addresses, a)
	}
	for _, r := range raw.Routes[:min(len(raw.Routes), maxItems)] {
		if p, err := netip.ParsePrefix(r.Dst); err == nil {
			out.Routes = append(out.Routes, facts.ResultRoute{Dst: p.Masked(), Gateway: parseAddr(r.GW), Table: r.Table})
		}
	}
	return out
}

func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}
