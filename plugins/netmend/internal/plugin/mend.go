package plugin

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/checks"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
	"github.com/netmend/netmend/pkg/host"
)

// mend makes the fixes that were asked for. Only knobs of this very pod are turned, each only where it still has the value that was judged. What was mended is
// no finding any more.
func (c *call) mend(v *outcome) {
	if len(c.conf.Fix) == 0 {
		return
	}
	v.report.Findings = slices.DeleteFunc(v.report.Findings, func(f check.Finding) bool {
		if !slices.Contains(c.conf.Fix, f.Check) || len(f.Fixes) == 0 || len(f.Fixes[0].Changes) == 0 || time.Now().After(c.deadline()) {
			return false
		}
		if err := c.apply(v, f); err != nil {
			v.report.Skipped = append(v.report.Skipped, check.Skip{Check: f.Check, Partial: true, Reason: "not mended: " + err.Error()})
			return false
		}
		v.mended = append(v.mended, f.Check+": "+f.Fixes[0].Title)
		return true
	})
}

// apply makes the changes of the first fix, all or none.
func (c *call) apply(v *outcome, f check.Finding) error {
	pod, err := v.host.Namespace(c.args.Netns)
	if err != nil {
		return err
	}
	defer pod.Close()
	var done []fix.Change
	for _, change := range f.Fixes[0].Changes {
		ns, err := c.namespaceOf(v, pod, change)
		if err == nil {
			err = set(v.host, ns, change)
		}
		if err != nil {
			for _, u := range slices.Backward(done) {
				if ns, nsErr := c.namespaceOf(v, pod, u); nsErr == nil {
					_ = v.host.Set(ns, fix.Change{Knob: u.Knob, On: u.On, From: u.To, To: u.From}) // the first error is the one to tell
				}
			}
			return err
		}
		done = append(done, change)
	}
	if f.Check == checks.IPv6Pod.Name {
		return c.addAgain(pod, f.On.Index)
	}
	for _, change := range done {
		if mtu, err := strconv.Atoi(change.To); err == nil && change.Knob == fix.LinkMTU {
			if v.mtu == nil {
				v.mtu = map[string]int{}
			}
			v.mtu[change.On.Name] = mtu
		}
	}
	return nil
}

// namespaceOf is the namespace that a change is made in, if the change concerns this pod: it is on the pod's link or on the node's end of one.
func (c *call) namespaceOf(v *outcome, pod *host.NS, change fix.Change) (*host.NS, error) {
	if change.On.NetNS == pod.Inode {
		return pod, nil
	}
	if l := v.snapshot.Host.Link(change.On.Index); change.On.NetNS == v.snapshot.Host.Inode && l != nil && (l.Kind == "veth" || l.Kind == "netkit") {
		return v.host.Node(), nil
	}
	return nil, fmt.Errorf("%s on %s is not this pod's", change.Knob, change.On.Name)
}

func set(h *host.Host, ns *host.NS, change fix.Change) error {
	got, err := h.Get(ns, change)
	if err != nil {
		return err
	}
	if !fix.SameValue(change.Knob, got, change.From) {
		return fmt.Errorf("%s of %s: %w: it is %q", change.Knob, change.On.Name, fix.ErrPrecondition, got)
	}
	return h.Set(ns, change)
}

// addAgain gives a link the IPv6 addresses and routes of the result, which the kernel threw away when IPv6 was switched off.
func (c *call) addAgain(pod *host.NS, link int) error {
	name := ""
	return pod.Do(func() error {
		l, err := pod.LinkByIndex(link)
		if err != nil {
			return err
		}
		name = l.Name
		var gateway facts.ResultAddress
		for _, a := range c.result.Addresses {
			if !a.Prefix.Addr().Is6() || a.Link != "" && a.Link != name {
				continue
			}
			if err := pod.AddAddress(link, a.Prefix); err != nil {
				return err
			}
			if a.Gateway.IsValid() {
				gateway = a
			}
		}
		for _, r := range c.result.Routes {
			via := r.Gateway
			if !via.IsValid() {
				via = gateway.Gateway
			}
			if !r.Dst.Addr().Is6() || r.Table != 0 && r.Table != facts.TableMain {
				continue
			}
			if err := pod.AddRoute(link, r.Dst, via); err != nil {
				return err
			}
		}
		return nil
	})
}
