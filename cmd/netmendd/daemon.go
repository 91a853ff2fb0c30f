//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"

	"github.com/netmend/netmend/cmd/internal/build"
	"github.com/netmend/netmend/pkg/agent"
	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/serve"
	"github.com/netmend/netmend/pkg/status"
)

// How Go's collector weighs memory against time. What is kept of a node is a few megabytes that seldom change, and a look at it makes as much that is soon over:
// the usual 100 percent would let that stay for minutes. The goal is where the collector begins to work harder, in bytes, and no bound: what the node needs it gets.
const (
	memoryGrowth = 50
	memoryGoal   = 32 << 20
)

// daemon is the parts of a running netmendd.
type daemon struct {
	flags    *flags
	log      *slog.Logger
	level    *slog.LevelVar
	file     *config.File
	agent    *agent.Agent
	surfaces *serve.Surfaces
	board    *serve.Board
	cluster  *cluster
	crier    *crier
	node     *nodeName
	systemd  *serve.Systemd
	ready    bool
	line     string // that systemd was told
}

// run does what the command line asks for.
func (f *flags) run(ctx context.Context, e *env) error {
	suite, err := audit.Default()
	if err != nil {
		return err
	}
	file, err := config.Open(f.configPath(), suite)
	if err != nil {
		return err
	}
	conf, err := f.apply(file.Config())
	if err != nil || f.check {
		return err
	}
	d := &daemon{flags: f, level: &slog.LevelVar{}, file: file, board: &serve.Board{}, node: newNodeName(), systemd: serve.NewSystemd(e.getenv, os.Getpid())}
	d.log = newLogger(e.err, d.level, conf)
	if err := d.assemble(suite, conf, e.getenv); err != nil {
		return err
	}
	d.cluster.apply(conf.Kubernetes)
	d.crier.apply(conf.Kubernetes)
	return d.run(ctx, e.hup)
}

// newLogger writes without times where somebody else adds them: systemd's journal does.
func newLogger(w io.Writer, level *slog.LevelVar, conf *config.Config) *slog.Logger {
	level.Set(conf.LogLevel)
	o := &slog.HandlerOptions{Level: level}
	if conf.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// assemble makes the parts, which then know each other.
func (d *daemon) assemble(suite *audit.Suite, conf *config.Config, getenv func(string) string) error {
	plugin, err := d.flags.pluginPath()
	if err != nil {
		return err
	}
	b := build.Read()
	metrics := serve.NewMetrics(d.board, serve.Build{Version: b.Version, Commit: b.Commit, Checks: suite.Checks()})
	d.agent, err = agent.New(agent.Options{
		Root: d.flags.root, NetNS: d.flags.netns, Plugin: plugin, Config: conf, Suite: suite, Board: d.board, Meter: metrics, Log: d.log,
		Versions: status.Versions{Netmend: b.Version, Commit: b.Commit}, Published: d.published,
	})
	if err != nil {
		return err
	}
	health := newAPIHealth(d.agent)
	d.cluster, d.crier = newCluster(d, getenv, health), newCrier(d, getenv, health)
	d.surfaces = serve.New(serve.Options{
		Board: d.board, Metrics: metrics, NodeState: d.flags.nodeStatePath(), Unasked: suite.Unasked, Health: d.agent.SetCondition, Told: d.crier.hear,
	}, d.flags.settings(conf))
	return nil
}

// run ends when the context does and everything has ended.
func (d *daemon) run(ctx context.Context, hup <-chan os.Signal) error {
	debug.SetGCPercent(memoryGrowth)
	debug.SetMemoryLimit(memoryGoal)
	ctx, cancel := context.WithCancelCause(ctx)
	surfaces, stopSurfaces := context.WithCancel(context.WithoutCancel(ctx))
	var loop, others sync.WaitGroup
	loop.Go(func() {
		err := d.agent.Run(ctx)
		cancel(err) // the others have nothing to show any more
	})
	others.Go(func() { d.surfaces.Run(surfaces) })
	others.Go(func() { d.systemd.Watch(surfaces, d.board.Turning) })
	loop.Go(func() { d.watchConfig(ctx, hup) })
	loop.Go(func() { d.cluster.run(ctx) })
	loop.Go(func() { d.crier.run(ctx) })
	<-ctx.Done()
	d.tell(d.systemd.Stopping())
	loop.Wait()
	stopSurfaces() // only now: the last that they show is that the daemon ends
	others.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// watchConfig puts a changed configuration in force, on SIGHUP too.
func (d *daemon) watchConfig(ctx context.Context, hup <-chan os.Signal) {
	var watch sync.WaitGroup
	defer watch.Wait()
	d.agent.SetCondition(status.Configuration, d.file.Refused())
	watch.Go(func() { d.file.Watch(ctx, d.reloaded) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			_, err := d.file.Reload()
			d.reloaded(err)
		}
	}
}

// reloaded takes what a reload has given. It may be called by two goroutines.
func (d *daemon) reloaded(err error) {
	if err != nil {
		err = fmt.Errorf("the file was refused, and the configuration before stays in force: %w", err)
	}
	d.agent.SetCondition(status.Configuration, err)
	if err != nil {
		return
	}
	conf, err := d.flags.apply(d.file.Config())
	if err != nil {
		return // it was the same at the start, which then failed
	}
	d.log.Info("configuration read", "mode", string(conf.Mode))
	d.level.Set(conf.LogLevel)
	d.agent.Configure(conf)
	d.surfaces.Apply(d.flags.settings(conf))
	d.cluster.apply(conf.Kubernetes)
	d.crier.apply(conf.Kubernetes)
}

// published tells the service manager. It is called by the loop after each state.
func (d *daemon) published(s *status.Document) {
	d.node.set(s.Node)
	d.crier.feed(s)
	if s.Ready && !d.ready {
		d.ready = true
		d.tell(d.systemd.Ready())
	}
	line := fmt.Sprintf("%s, mode %s, %d findings", s.State, s.Mode, len(s.Findings))
	if line != d.line {
		d.line = line
		d.tell(d.systemd.Status(line))
	}
}

func (d *daemon) tell(err error) {
	if err != nil {
		d.log.Debug("service manager", "error", err)
	}
}
