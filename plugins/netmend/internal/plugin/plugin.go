package plugin

import (
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/netmend/netmend/pkg/check"
)

// Plugin is one run of the program.
type Plugin struct {
	out, err io.Writer
	start    time.Time
	checks   func(*Config, func(string) bool) []*check.Check
}

// New makes a plugin whose time begins now.
func New(out, err io.Writer) *Plugin {
	return &Plugin{out: out, err: err, start: time.Now(), checks: (*Config).wanted}
}

// versions are those of the CNI specification that are spoken.
func versions() []string { return []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} }

// Main serves the one request that environment and standard input hold, and gives the exit code.
func (p *Plugin) Main() int {
	funcs := skel.CNIFuncs{
		Add:   p.Add,
		Check: p.Check,
		// Nothing was left behind, so there is nothing to take back, whatever the configuration says.
		Del:    func(a *skel.CmdArgs) error { return p.nothing("DEL", a) },
		GC:     func(a *skel.CmdArgs) error { return p.nothing("GC", a) },
		Status: p.Status,
	}
	e := skel.PluginMainFuncsWithError(funcs, version.PluginSupports(versions()...), "netmend: a chained CNI plugin that checks a pod's network before the pod starts")
	if e == nil {
		return 0
	}
	if err := e.Print(); err != nil {
		fmt.Fprintln(p.err, "netmend: write error:", err)
	}
	return 1
}

// Add judges a new pod. It writes the result of the plugins before it, unchanged but for what was mended, or gives the error that refuses the pod.
func (p *Plugin) Add(a *skel.CmdArgs) error {
	c, out, err := p.begin("ADD", a)
	if err != nil {
		return err
	}
	defer c.close()
	v := p.guarded(c, func() *outcome { return p.judge(c, true) })
	if err := p.finish(c, v); err != nil {
		return err
	}
	if len(v.mtu) > 0 {
		if patched, err := patchMTU(out, v.mtu); err == nil {
			out = patched
		}
	}
	if _, err := p.out.Write(out); err != nil {
		return types.NewError(types.ErrIOFailure, "write result: "+err.Error(), "")
	}
	return nil
}

// Check judges a pod again and mends nothing.
func (p *Plugin) Check(a *skel.CmdArgs) error {
	c, _, err := p.begin("CHECK", a)
	if err != nil {
		return err
	}
	defer c.close()
	return p.finish(c, p.guarded(c, func() *outcome { return p.judge(c, false) }))
}

// Status judges the node by the checks of gate.
func (p *Plugin) Status(a *skel.CmdArgs) error {
	c, err := p.call("STATUS", a)
	if err != nil {
		return err
	}
	defer c.close()
	return p.finish(c, p.guarded(c, func() *outcome { return p.judgeNode(c) }))
}

// nothing is a request that always succeeds. It is logged where the configuration can be read.
func (p *Plugin) nothing(command string, a *skel.CmdArgs) error {
	if c, err := p.call(command, a); err == nil {
		defer c.close()
		c.log.write(c.record(&outcome{verdict: verdictPass}))
	}
	return nil
}

// begin reads the configuration of a request that needs a result, and what is to be handed on.
func (p *Plugin) begin(command string, a *skel.CmdArgs) (*call, []byte, error) {
	c, err := p.call(command, a)
	if err != nil {
		return nil, nil, err
	}
	if c.conf.Prev == nil {
		c.close()
		return nil, nil, types.NewError(types.ErrInvalidNetworkConfig, "netmend: no prevResult: place netmend after the main plugin of the network's list of plugins",
			"netmend checks what another plugin has made; see docs/cni.md")
	}
	out, err := handOn(c.conf)
	if err != nil {
		c.close()
		return nil, nil, err
	}
	c.result = readResult(c.conf.prev, a.IfName)
	c.result.Network, c.result.Container = c.conf.Name, a.ContainerID
	return c, out, nil
}

// guarded turns a panic into an outcome: a pass or an error, as failurePolicy says.
func (p *Plugin) guarded(c *call, judge func() *outcome) (v *outcome) {
	defer func() {
		if r := recover(); r != nil {
			v = panicked(r, debug.Stack())
		}
	}()
	if c.conf.Mode == ModeOff && len(c.conf.Checks) == 0 {
		return &outcome{verdict: verdictOff}
	}
	return judge()
}

func panicked(r any, stack []byte) *outcome {
	return &outcome{verdict: verdictError, panicked: fmt.Sprint(r), stack: string(stack)}
}
