package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/services"
)

// serviceCommand is the flags of service.
type serviceCommand struct {
	env     *env
	source  sourceFlags
	output  outputFlags
	connect time.Duration
}

func newService(e *env) *cobra.Command {
	s := &serviceCommand{env: e}
	c := &cobra.Command{
		Use:   "service NAMESPACE/NAME[:PORT] | ADDRESS:PORT[/PROTOCOL]",
		Short: "Follow one Service on this node, from its address to its backends",
		Long: `Service follows one Service on this node: what the cluster wants (with --services), the rules that carry it link by link, how the two differ, and a
connection to its address and to each of its backends with the time it takes. It changes nothing and sends nothing but the handshake of TCP.

A Service is named as kubectl does, or by an address and port that it has: its cluster IP, an external IP, or a node port at an address of the node.

It ends with 0 where the rules are as the cluster wants them and all connections succeed, 1 where not, and 2 where there is no such Service or it could
not look.`,
		Example: `  netmendctl service default/kubernetes
  kubectl get services,endpointslices,nodes -A -o yaml | netmendctl service shop/web --services -
  netmendctl service 10.96.0.10:53/udp --services services.yaml -o json`,
		ValidArgsFunction: s.complete,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("service: it takes one Service: NAMESPACE/NAME, or ADDRESS:PORT")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return s.run(c.Context(), args[0]) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.DurationVar(&s.connect, "connect", 2*time.Second, "`TIME` that each connection may take; 0: try none")
	s.output.add(c, []string{"text", "json"})
	s.source.addNode(flags)
	return c
}

// complete gives the Services of the file of --services.
func (s *serviceCommand) complete(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || s.source.services == "" || s.source.services == "-" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	wanted, err := readServices(s.env, s.source.services)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var out []string
	for _, v := range wanted.objects.Services {
		out = append(out, v.Name+"\t"+v.Type)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// longestConnect bounds --connect.
const longestConnect = time.Minute

func (s *serviceCommand) run(ctx context.Context, text string) error {
	if err := s.output.known("text", "json"); err != nil {
		return err
	}
	style, err := s.output.style(s.env)
	if err != nil {
		return err
	}
	if s.connect < 0 || s.connect > longestConnect {
		return fmt.Errorf("--connect %s: it must be between 0 and %s", s.connect, longestConnect)
	}
	q, err := parseQuery(text)
	if err != nil {
		return err
	}
	s.source.trace = true
	snapshot, err := s.source.snapshot(ctx, s.env, []facts.Kind{
		facts.KindLinks, facts.KindAddresses, facts.KindAgents, facts.KindProxy, facts.KindServices, facts.KindServiceRules,
	})
	if err != nil {
		return err
	}
	doc, err := follow(snapshot, q)
	if err != nil {
		return err
	}
	if s.connect > 0 && s.source.from == "" {
		if err := s.try(ctx, doc); err != nil {
			return err
		}
	}
	if s.output.format == "json" {
		err = emitJSON(s.env, doc)
	} else {
		err = emit(s.env.out, doc.text(style))
	}
	if err == nil && doc.wrong() {
		return errFindings
	}
	return err
}

// query is which Service is asked for: by its name, or by an address.
type query struct {
	service, port string // namespace/name, and the name or number of a port; empty: all
	at            netip.AddrPort
	protocol      string // empty: any
}

func parseQuery(text string) (q query, err error) {
	rest, protocol, given := strings.Cut(text, "/")
	if at, err := netip.ParseAddrPort(rest); err == nil && at.Port() != 0 {
		if given && !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
			return q, fmt.Errorf("%q: the protocol is tcp, udp or sctp", text)
		}
		return query{at: netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), protocol: protocol}, nil
	}
	q.service, q.port, _ = strings.Cut(text, ":")
	if namespace, name, ok := strings.Cut(q.service, "/"); !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return q, fmt.Errorf("%q: neither NAMESPACE/NAME nor ADDRESS:PORT", text)
	}
	return q, nil
}

// asks says whether a path is one that is asked for.
func (q *query) asks(p *facts.ServicePath, local []netip.Addr) bool {
	if q.service != "" {
		service, port, _ := strings.Cut(p.Name, ":")
		return service == q.service && (q.port == "" || q.port == port || q.port == strconv.Itoa(int(p.Port)))
	}
	if q.at.Port() != p.Port || q.protocol != "" && q.protocol != p.Protocol {
		return false
	}
	return p.VIP == q.at.Addr() || p.Kind == facts.FrontNodePort && !p.VIP.IsValid() && slices.Contains(local, q.at.Addr())
}

// follow compares what is wanted of the Service with what is held.
func follow(s *facts.Snapshot, q query) (*serviceDoc, error) {
	if why, missing := s.Missing[facts.KindServiceRules]; missing || s.ServiceRules == nil {
		if why == "" {
			why = "nothing of kube-proxy is here"
		}
		return nil, fmt.Errorf("could not read the rules: %s", why)
	}
	d := &serviceDoc{APIVersion: "netmend.io/v1alpha1", Kind: "ServiceReport", Node: s.Node.Name, Mode: s.ServiceRules.Mode}
	var local []netip.Addr
	for _, a := range s.Host.Addresses {
		local = append(local, a.Prefix.Addr().Unmap())
	}
	used := make([]bool, len(s.ServiceRules.Paths))
	if c := s.Intent.Cluster; c != nil {
		d.Source, d.Age = c.Source, c.Age
		o := services.OptionsOf(s)
		w := services.Want(c, o)
		for i := range w.Rules.Paths {
			want := &w.Rules.Paths[i]
			if !slices.Contains(s.ServiceRules.Families, want.Family) || !q.asks(want, local) {
				continue
			}
			way := newWay(want)
			way.Wanted, way.Doubt = outcomeOf(want), w.Doubt(i)
			for j := range s.ServiceRules.Paths {
				if held := &s.ServiceRules.Paths[j]; services.Meets(want, held) {
					used[j] = true
					way.carry(held)
				}
			}
			d.Ways = append(d.Ways, way)
		}
		list := services.Compare(w, s.ServiceRules)
		d.differences(list)
		_, zone := services.WithoutZone(c, o, s.ServiceRules, list)
		d.unheeded(zone, o.Zone)
	}
	for j := range s.ServiceRules.Paths {
		if held := &s.ServiceRules.Paths[j]; !used[j] && q.asks(held, local) {
			way := newWay(held)
			way.carry(held)
			if s.Intent.Cluster != nil {
				way.Differs = []string{"the cluster has no such Service: its rules are left over"}
			}
			d.Ways = append(d.Ways, way)
		}
	}
	if len(d.Ways) == 0 {
		return nil, errors.New(notFound(s, q))
	}
	for i := range d.Ways {
		d.Ways[i].before(s.ServiceRules.Ahead, local)
	}
	return d, nil
}

// notFound says why there is nothing to follow.
func notFound(s *facts.Snapshot, q query) string {
	what := q.service
	if what == "" {
		what = q.at.String()
	}
	c := s.Intent.Cluster
	if c == nil {
		return fmt.Sprintf("%s: no rule of this node is of it, and whether there is such a Service is not known (--services FILE)", what)
	}
	for i := range c.All {
		v := &c.All[i]
		switch {
		case v.Name != q.service:
		case v.Type == facts.TypeExternalName:
			return what + " is of type ExternalName: DNS answers for it, and kube-proxy has no rules"
		case v.Headless || len(v.ClusterIPs) == 0:
			return what + " is headless: DNS gives its pods' addresses, and kube-proxy has no rules"
		case v.Proxy != "":
			return fmt.Sprintf("%s has the label service.kubernetes.io/service-proxy-name: %s carries it, not kube-proxy", what, v.Proxy)
		}
	}
	return fmt.Sprintf("%s: neither %s nor this node's rules have such a Service", what, c.Source)
}

// try connects to the addresses of the Service and to its backends, as far as they speak TCP.
func (s *serviceCommand) try(ctx context.Context, d *serviceDoc) error {
	var to []netip.AddrPort
	for i := range d.Ways {
		for _, a := range d.Ways[i].reach {
			if !slices.Contains(to, a) {
				to = append(to, a)
			}
		}
	}
	source, err := s.source.source()
	if err != nil {
		return err
	}
	attempts, err := s.env.dial(ctx, source, to, s.connect)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d.tried(attempts)
	return nil
}

// dialFunc is [audit.Connect].
type dialFunc func(context.Context, audit.Source, []netip.AddrPort, time.Duration) ([]audit.Attempt, error)
