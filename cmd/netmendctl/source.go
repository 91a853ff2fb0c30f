package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
)

// sourceFlags say which node or document a command reads.
type sourceFlags struct {
	from, root, netns string
	window            time.Duration
	vips, cidrs       []string
	services          string
	trace             bool // Services are followed link by link, also where nothing is known of what the cluster wants
}

// addNode makes the flags that say which node is read, and what is known of its cluster.
func (f *sourceFlags) addNode(flags *pflag.FlagSet) {
	flags.StringVar(&f.services, "services", "", "what kubectl get services,endpointslices,nodes -A -o yaml wrote, a `FILE` or -: every Service's rules are compared with it")
	flags.StringVar(&f.from, "from", "", "read a snapshot `FILE` instead of a node; - is standard input")
	flags.StringVar(&f.root, "root", "", "`DIR` that holds the node's /proc, /sys, /etc and /var (default /)")
	flags.StringVar(&f.netns, "netns", "", "`PATH` of the network namespace in which the node lives (default: this one)")
}

func (f *sourceFlags) add(flags *pflag.FlagSet) {
	f.addNode(flags)
	flags.DurationVar(&f.window, "window", 0, "take two samples this `TIME` apart, so that counters become evidence (10s)")
	flags.StringSliceVar(&f.vips, "service-vip", nil, "a virtual IP that must work, `NAME=IP:PORT/PROTO`, such as default/kubernetes:https=10.96.0.1:443/tcp; repeatable")
	flags.StringSliceVar(&f.cidrs, "pod-cidr", nil, "a `CIDR` of the cluster's pods; repeatable")
}

// longestWindow bounds --window: who wants to watch for longer wants the daemon.
const longestWindow = time.Hour

// source makes what the flags say of the node; the kinds are the caller's.
func (f *sourceFlags) source() (audit.Source, error) {
	s := audit.Source{Root: f.root, NetNS: f.netns, Window: f.window}
	if f.window < 0 || f.window > longestWindow {
		return s, fmt.Errorf("--window %s: it must be between 0 and %s", f.window, longestWindow)
	}
	for _, text := range f.cidrs {
		cidr, err := netip.ParsePrefix(text)
		if err != nil {
			return s, fmt.Errorf("--pod-cidr %q: not a CIDR such as 10.244.0.0/16", text)
		}
		s.Intent.PodCIDRs = append(s.Intent.PodCIDRs, cidr.Masked())
	}
	for _, text := range f.vips {
		vip, err := parseVIP(text)
		if err != nil {
			return s, err
		}
		s.Intent.Services = append(s.Intent.Services, vip)
	}
	return s, nil
}

// parseVIP reads NAME=IP:PORT/PROTO; without /PROTO it is tcp.
func parseVIP(text string) (facts.ServiceIntent, error) {
	bad := fmt.Errorf("--service-vip %q: not NAME=IP:PORT/PROTO such as default/kubernetes:https=10.96.0.1:443/tcp", text)
	eq := strings.LastIndexByte(text, '=')
	if eq <= 0 {
		return facts.ServiceIntent{}, bad
	}
	addr, proto, given := strings.Cut(text[eq+1:], "/")
	if !given {
		proto = "tcp"
	}
	at, err := netip.ParseAddrPort(addr)
	if err != nil || at.Port() == 0 || proto != "tcp" && proto != "udp" && proto != "sctp" {
		return facts.ServiceIntent{}, bad
	}
	return facts.ServiceIntent{Name: text[:eq], VIP: at.Addr(), Port: at.Port(), Protocol: proto, Source: "--service-vip"}, nil
}

// snapshot reads the document or collects the kinds from the node.
func (f *sourceFlags) snapshot(ctx context.Context, e *env, kinds []facts.Kind) (*facts.Snapshot, error) {
	s, err := f.source()
	if err != nil {
		return nil, err
	}
	wanted, err := readServices(e, f.services)
	if err != nil {
		return nil, err
	}
	if f.from != "" {
		if f.from == "-" && f.services == "-" {
			return nil, errors.New("--from and --services: standard input is one document only")
		}
		if f.root != "" || f.netns != "" || f.window != 0 || len(f.vips)+len(f.cidrs) > 0 {
			return nil, errors.New("--from reads a document: it does not go with --root, --netns, --window, --service-vip or --pod-cidr, which read a node")
		}
		got, err := decodeFile(ctx, e, f.from)
		if err == nil && wanted != nil {
			wanted.give(got)
		}
		return got, err
	}
	switch {
	case wanted != nil:
		s.Intent.Cluster = wanted.objects.Cluster(wanted.file, "", nil, e.now())
	case f.trace:
		s.Intent.Cluster = &facts.Cluster{} // the rules are read where there is something to compare them with
	}
	s.Intent.Trace = f.trace
	p := newProgress(e)
	s.Kinds, s.Now, s.Progress = f.kinds(kinds), e.now, p.window
	stop := p.start("the node")
	defer stop()
	got, err := e.collect(ctx, s)
	switch {
	case errors.Is(err, audit.ErrNotLinux):
		return nil, fmt.Errorf("%w: take a snapshot there and give it with --from", err)
	case f.root != "" && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: --root needs the node's proc, sys, etc and var below it", err)
	}
	switch {
	case err != nil:
	case wanted != nil:
		wanted.give(got)
	case f.trace:
		got.Intent.Cluster = nil
		got.Kinds = slices.DeleteFunc(got.Kinds, func(k facts.Kind) bool { return k == facts.KindServices })
	}
	return got, err
}

// kinds leaves out Services' rules where nothing is known to compare them with.
func (f *sourceFlags) kinds(kinds []facts.Kind) []facts.Kind {
	if f.services != "" || f.trace {
		return kinds
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k facts.Kind) bool { return k == facts.KindServices || k == facts.KindServiceRules })
}

// decodeFile reads a snapshot from a file or from standard input. It gives up on a reader that blocks when the context ends.
func decodeFile(ctx context.Context, e *env, name string) (*facts.Snapshot, error) {
	in, where := e.in, "standard input"
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, openError(err)
		}
		defer f.Close()
		if st, err := f.Stat(); err == nil && (st.IsDir() || st.Mode().IsRegular() && st.Size() > facts.MaxSize) {
			return nil, sizeError(name, st)
		}
		in, where = f, name
	}
	type result struct {
		s   *facts.Snapshot
		err error
	}
	done := make(chan result, 1)
	go func() {
		s, err := facts.Decode(in)
		done <- result{s, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("%s: %w", where, r.err)
		}
		return r.s, nil
	}
}

func openError(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: give a file that netmendctl snapshot wrote, or - for standard input", err)
	}
	return err
}

func sizeError(name string, st fs.FileInfo) error {
	if st.IsDir() {
		return fmt.Errorf("%s: it is a directory: give a file that netmendctl snapshot wrote", name)
	}
	return fmt.Errorf("%s: %w (%d MiB, the most is %d MiB)", name, facts.ErrTooLarge, st.Size()>>20, facts.MaxSize>>20)
}
