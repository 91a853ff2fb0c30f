package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netmend/netmend/pkg/facts"
)

// healthPort is the port of kube-proxy's healthzBindAddress by default.
const healthPort = 10256

// maxAnswer bounds what kube-proxy answers; its metrics are about 100 KiB.
const maxAnswer = 4 << 20

// proxyDetail bounds each question about kube-proxy's configuration and state.
const proxyDetail = time.Second

// AskProxy asks the kube-proxy that runs on the node for its configuration and its state. What it does not tell stays nil: an older or embedded one may not have
// all of these pages. Only what listens as root is believed.
func (h *Host) AskProxy(ctx context.Context, p *facts.Proxy, now time.Time) error {
	return h.node.Do(func() error {
		health := healthPort
		if text, err := h.node.askRoot(ctx, proxyPort, "/configz"); err == nil {
			p.Config, health = parseConfigz(text)
		}
		state := facts.ProxyState{}
		text, err := h.node.askRoot(ctx, health, "/livez")
		switch {
		case errors.Is(err, unix.ECONNREFUSED):
			state.Refused = true
		case err == nil:
			state.Live = parseLivez(text)
		}
		if metrics, err := h.node.askRoot(ctx, proxyPort, "/metrics"); err == nil {
			parseSyncTimes(metrics, now, &state)
		}
		if state != (facts.ProxyState{}) {
			p.State = &state
		}
		return nil
	})
}

// answer is what a page said.
type answer struct {
	status int
	body   []byte
}

// errNotRoot says that somebody else listens where kube-proxy does.
var errNotRoot = errors.New("what listens there is not root's")

// askRoot asks a page of a program that listens as root on the loopback address.
func (n *NS) askRoot(ctx context.Context, port int, page string) (a answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, proxyDetail)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return a, fmt.Errorf("ask 127.0.0.1:%d%s: %w", port, page, err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetDeadline(deadline)
	}
	if err == nil {
		_, err = io.WriteString(conn, "GET "+page+" HTTP/1.0\r\nHost: localhost\r\n\r\n")
	}
	var data []byte
	if err == nil {
		data, err = io.ReadAll(io.LimitReader(conn, maxAnswer))
	}
	if err := errors.Join(err, conn.Close()); err != nil {
		return a, fmt.Errorf("ask 127.0.0.1:%d%s: %w", port, page, err)
	}
	if !n.rootListens(uint16(port)) {
		return a, fmt.Errorf("ask 127.0.0.1:%d%s: %w", port, page, errNotRoot)
	}
	return parseAnswer(data)
}

func parseAnswer(data []byte) (a answer, err error) {
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	status := strings.Fields(string(head[:min(len(head), 32)]))
	if !ok || len(status) < 2 || !strings.HasPrefix(status[0], "HTTP/1.") {
		return a, errors.New("no answer of HTTP")
	}
	a.status, err = strconv.Atoi(status[1])
	a.body = body
	return a, err
}

// parseConfigz reads KubeProxyConfiguration as /configz gives it: the internal type, whose fields have their names in Go
// (pkg/proxy/apis/config/types.go), durations as text. Without it there is no configuration, and the health port is the default.
func parseConfigz(a answer) (*facts.ProxyConfig, int) {
	var doc struct {
		Config *struct {
			HostnameOverride, BindAddress, HealthzBindAddress, Mode string

			Linux struct {
				MasqueradeAll bool
				Conntrack     struct{ TCPBeLiberal bool }
			}
			IPTables struct {
				MasqueradeBit      *int
				LocalhostNodePorts *bool
			}
			NFTables struct{ MasqueradeBit *int }
			IPVS     struct {
				Scheduler    string
				ExcludeCIDRs []string
				StrictARP    bool
			}
			DetectLocalMode string
			DetectLocal     struct {
				BridgeInterface, InterfaceNamePrefix string
				ClusterCIDRs                         []string
			}
			NodePortAddresses         []string
			SyncPeriod, MinSyncPeriod string
		} `json:"kubeproxy.config.k8s.io"`
	}
	if a.status != 200 || json.Unmarshal(a.body, &doc) != nil || doc.Config == nil {
		return nil, healthPort
	}
	c := doc.Config
	out := &facts.ProxyConfig{
		Mode: c.Mode, NodePortAddresses: c.NodePortAddresses, ClusterCIDRs: parsePrefixes(c.DetectLocal.ClusterCIDRs), DetectLocal: c.DetectLocalMode,
		DetectLocalLink: c.DetectLocal.BridgeInterface + c.DetectLocal.InterfaceNamePrefix, MasqueradeAll: c.Linux.MasqueradeAll, MasqueradeBit: c.IPTables.MasqueradeBit,
		LocalhostNodePorts: c.IPTables.LocalhostNodePorts, SyncPeriod: seconds(c.SyncPeriod), MinSyncPeriod: seconds(c.MinSyncPeriod), Scheduler: c.IPVS.Scheduler,
		StrictARP: c.IPVS.StrictARP, ExcludeCIDRs: parsePrefixes(c.IPVS.ExcludeCIDRs), BindAddress: parseAddr(c.BindAddress), NodeName: c.HostnameOverride,
		LiberalConntrack: c.Linux.Conntrack.TCPBeLiberal,
	}
	if c.Mode == facts.ModeNFTables {
		out.MasqueradeBit = c.NFTables.MasqueradeBit
	}
	if _, text, err := net.SplitHostPort(c.HealthzBindAddress); err == nil {
		if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
			return out, int(port)
		}
	}
	return out, healthPort
}

func parsePrefixes(texts []string) (out []netip.Prefix) {
	for _, text := range texts {
		if p, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

func seconds(text string) float64 {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return d.Seconds()
}

// parseLivez gives what /livez says: 200 while syncs keep up, 503 where one has been queued for twice the sync period (pkg/proxy/healthcheck/proxy_health.go);
// nil for any other answer, such as that of a kube-proxy without the page.
func parseLivez(a answer) *bool {
	if a.status != 200 && a.status != 503 || !bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("{")) {
		return nil
	}
	live := a.status == 200
	return &live
}

// parseSyncTimes finds in kube-proxy's metrics when it last queued and ended a sync, for each family. One that was queued and has not ended is pending.
func parseSyncTimes(a answer, now time.Time, s *facts.ProxyState) {
	if a.status != 200 {
		return
	}
	queued, synced := map[string]float64{}, map[string]float64{}
	for line := range bytes.Lines(a.body) {
		rest, ok := bytes.CutPrefix(line, []byte("kubeproxy_sync_proxy_rules_last_"))
		if !ok {
			continue
		}
		into := queued
		if rest, ok = bytes.CutPrefix(rest, []byte("queued_")); !ok {
			into = synced
		}
		if rest, ok = bytes.CutPrefix(rest, []byte("timestamp_seconds")); !ok {
			continue
		}
		f := strings.Fields(string(rest)) // {ip_family="IPv4"} 1.7e+09, or the value alone
		if len(f) == 0 {
			continue
		}
		v, err := strconv.ParseFloat(f[len(f)-1], 64)
		if err == nil && v > 0 {
			into[strings.Join(f[:len(f)-1], "")] = v
		}
	}
	age := func(v float64) int64 { return max(1, int64(math.Ceil(float64(now.UnixMilli())/1000-v))) }
	for family, q := range queued {
		done, ok := synced[family]
		s.Pending = s.Pending || !ok || q > done
		s.Queued = max(s.Queued, age(q))
	}
	for _, v := range synced {
		s.Synced = max(s.Synced, age(v))
	}
}
