package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/cmd/internal/build"
	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/report"
)

// auditCommand is the flags of audit.
type auditCommand struct {
	env    *env
	source sourceFlags
	output outputFlags

	only, skip []string
	failOn     string
	quiet      bool
}

func newAudit(e *env) *cobra.Command {
	a := &auditCommand{env: e}
	c := &cobra.Command{
		Use:   "audit",
		Short: "Audit a node, or a snapshot of one, and change nothing",
		Long: `Audit reads a node, or a snapshot of one, and tells what is wrong with its pod network, what proves it, and the exact commands that would
mend it. It changes nothing. What it could not read it says, and never takes for healthy; as root it can read the most.

It ends with 0 where nothing at or above --fail-on was found, 1 where something was, and 2 where it could not audit.`,
		Example: `  netmendctl audit
  netmendctl audit --window 10s --fail-on critical
  netmendctl audit --check tunnel-tx-checksum,bridge-mtu -o json
  netmendctl audit --from node1.json -o html > node1.html
  netmendctl audit --pod-cidr 10.244.0.0/16 --service-vip default/kubernetes:https=10.96.0.1:443/tcp
  kubectl get services,endpointslices,nodes -A -o yaml > services.yaml; netmendctl audit --services services.yaml
  ssh node1 sudo netmendctl snapshot | netmendctl audit --from -`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return a.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&a.only, "check", nil, "run only these checks: `NAME`,NAME; repeatable (default all)")
	flags.StringSliceVar(&a.skip, "skip", nil, "do not run these checks: `NAME`,NAME; repeatable")
	flags.StringVar(&a.failOn, "fail-on", check.Warning.String(), "end with 1 for findings of this `SEVERITY` or worse: info, warning, critical")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "write no report; the exit code says it all")
	a.output.add(c, report.Names())
	a.source.add(flags)
	complete(c, "check", checkNames(e))
	complete(c, "skip", checkNames(e))
	complete(c, "fail-on", words(check.Info.String(), check.Warning.String(), check.Critical.String()))
	return c
}

func (a *auditCommand) run(ctx context.Context) error {
	err := a.audit(ctx)
	if err != nil && err != errFindings && a.output.format == "npd" { // node-problem-detector shows standard output and drops standard error
		_ = emit(a.env.out, report.OneLine("could not audit: "+err.Error())) // the error itself is reported
	}
	return err
}

func (a *auditCommand) audit(ctx context.Context) error {
	format, err := report.ParseFormat(a.output.format)
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	style, err := a.output.style(a.env)
	if err != nil {
		return err
	}
	failOn, err := check.ParseSeverity(a.failOn)
	if err != nil {
		return fmt.Errorf("--fail-on: %w", err)
	}
	checks, err := a.env.suite.Select(a.only, a.skip)
	if err != nil {
		return err
	}
	s, err := a.source.snapshot(ctx, a.env, audit.Kinds(checks))
	if err != nil {
		return err
	}
	r := audit.Judge(s, checks)
	if !a.quiet {
		doc := report.New(report.Input{Snapshot: s, Report: r, Checks: checks, Unasked: a.env.suite.Unasked, Version: build.Read().Version})
		var b strings.Builder
		if err := format.Write(&b, doc, style); err != nil {
			return fmt.Errorf("write %s: %w", format.Name, err)
		}
		if err := emit(a.env.out, b.String()); err != nil {
			return err
		}
	}
	if audit.Failed(r, failOn) {
		return errFindings
	}
	return nil
}
