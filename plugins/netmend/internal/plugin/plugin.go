package plugin

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"
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
	result   []byte // what ADD hands on; it is written when nothing can fail any more
}

// New makes a plugin whose time begins now.
func New(out, err io.Writer) *Plugin {
	return &Plugin{out: out, err: err, start: time.Now(), checks: (*Config).wanted}
}

// versions are those of the CNI specification that are spoken.
func versions() []string { return []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} }

// Main serves the one request that environment and standard input hold, and gives the exit code.
func (p *Plugin) Main() int {
	growStack()
	e := p.serve()
	if e == nil && len(p.result) > 0 {
		if _, err := p.out.Write(p.result); err != nil {
			e = types.NewError(types.ErrIOFailure, "write result: "+err.Error(), "")
		}
	}
	if e == nil {
		return 0
	}
	if err := e.Print(); err != nil {
		fmt.Fprintln(p.err, "netmend: write error:", err)
	}
	return 1
}

// serve finds out what is asked and answers it.
func (p *Plugin) serve() (e *types.Error) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(p.err, "netmend: panic: %v\n%s", r, debug.Stack())
			e = types.NewError(types.ErrInternal, fmt.Sprint("netmend: internal error: ", r), "standard error has the stack")
		}
	}()
	return skel.PluginMainFuncsWithError(skel.CNIFuncs{
		Add:   p.Add,
		Check: p.Check,
		// Nothing was left behind, so there is nothing to take back, whatever the configuration says.
		Del:    func(a *skel.CmdArgs) error { return p.nothing("DEL", a) },
		GC:     func(a *skel.CmdArgs) error { return p.nothing("GC", a) },
		Status: p.Status,
	}, version.PluginSupports(versions()...), "netmend: a chained CNI plugin that checks a pod's network before the pod starts")
}

// Add judges a new pod. It hands on the result of the plugins before it, unchanged but for what was mended, or gives the error that refuses the pod.
func (p *Plugin) Add(a *skel.CmdArgs) error {
	c, out, err := p.begin("ADD", a)
	if err != nil {
		return err
	}
	defer c.close()
	v, err := p.guarded(c, func() *outcome { return p.judge(c, true) })
	if err != nil {
		return err
	}
	if len(v.mtu) > 0 {
		if patched, err := patchMTU(out, v.mtu); err == nil {
			out = patched
		}
	}
	p.result = out
	return nil
}

// Check judges a pod again and mends nothing.
func (p *Plugin) Check(a *skel.CmdArgs) error {
	c, _, err := p.begin("CHECK", a)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = p.guarded(c, func() *outcome { return p.judge(c, false) })
	return err
}

// Status judges the node by the checks of gate.
func (p *Plugin) Status(a *skel.CmdArgs) error {
	c, err := p.call("STATUS", a)
	if err != nil {
		return err
	}
	defer c.close()
	_, err = p.guarded(c, func() *outcome { return p.judgeNode(c) })
	return err
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

// guarded judges and tells what came of it. A panic becomes an outcome: a pass or an error, as failurePolicy says.
func (p *Plugin) guarded(c *call, judge func() *outcome) (v *outcome, err error) {
	defer func() {
		if r := recover(); r != nil {
			v = panicked(r, debug.Stack())
			err = p.finish(c, v)
		}
	}()
	v = &outcome{verdict: verdictOff}
	if c.command == "STATUS" || c.conf.Mode != ModeOff || len(c.conf.Checks) > 0 {
		v = judge()
	}
	return v, p.finish(c, v)
}

func panicked(r any, stack []byte) *outcome {
	text, elsewhere, _ := strings.Cut(fmt.Sprint(r), "\n") // behind it stands the stack of another goroutine
	return &outcome{verdict: verdictError, panicked: text, stack: elsewhere + string(stack)}
}
