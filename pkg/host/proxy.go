package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

// proxyAnswer bounds the question to kube-proxy, which answers in less than a millisecond.
const proxyAnswer = 200 * time.Millisecond

// proxyPort is the port of kube-proxy's --metrics-bind-address, 127.0.0.1 by default.
const proxyPort = 10249

// Proxy finds out who carries Services on the node. kube-proxy itself is asked first, then what each of its modes leaves in the kernel: its nftables
// table, virtual servers and their dummy link, its iptables chains. A program that carries Services instead counts only where no kube-proxy runs.
// The mode is empty where there is nothing of kube-proxy.
//
// The agents are those of [Host.Agents], or unknown says why they could not be listed. That matters only where kube-proxy does not answer.
func (h *Host) Proxy(ctx context.Context, agents []facts.Agent, unknown error) (*facts.Proxy, error) {
	p := &facts.Proxy{}
	alive := false
	for _, a := range agents {
		if a.Name == "kube-proxy" {
			p.Age, alive = a.Age, true
		}
	}
	err := h.node.Do(func() error {
		if p.Mode = h.node.askProxyMode(ctx); p.Mode != "" {
			p.Source, alive = fmt.Sprintf("127.0.0.1:%d/proxyMode", proxyPort), true
		}
		if !alive {
			p.Replaced = h.node.proxyReplacement(agents)
		}
		if p.Mode != "" {
			return nil
		}
		var err error
		p.Mode, p.Source, err = h.node.proxyTraces()
		return err
	})
	if err == nil && !alive && p.Replaced == "" {
		err = unknown
	}
	if err != nil {
		return nil, fmt.Errorf("find the mode of kube-proxy: %w", err)
	}
	return p, nil
}

// proxyReplacement names the program that carries Services where no kube-proxy does: Cilium and Calico by the links of their BPF data path as well.
func (n *NS) proxyReplacement(agents []facts.Agent) string {
	for _, r := range [...]struct{ name, agent, link string }{
		{"cilium", "cilium-agent", "cilium_host"}, {"kube-router", "kube-router", ""}, {"calico", "", "bpfin.cali"},
		{"antrea", "antrea-agent", ""}, {"ovn-kubernetes", "ovnkube", ""},
	} {
		runs := slices.ContainsFunc(agents, func(a facts.Agent) bool { return a.Name == r.agent })
		if runs || r.link != "" && n.linkExists(r.link) {
			return r.name
		}
	}
	return ""
}

// linkExists asks for one link. The older way, an ioctl with a name, has the kernel run modprobe for one that is not there (dev_load).
func (n *NS) linkExists(name string) bool {
	_, err := n.LinkNamed(name)
	return err == nil
}

// proxyTraces finds what a mode of kube-proxy leaves in the kernel.
func (n *NS) proxyTraces() (mode, source string, err error) {
	v := vipReader{ns: n}
	defer v.close()
	for _, family := range [...]string{"ip", "ip6"} {
		has, err := v.nftTable(family, "kube-proxy")
		if err != nil {
			return "", "", err
		}
		if has {
			return facts.ModeNFTables, "nft table " + family + " kube-proxy", nil
		}
	}
	if n.linkExists(ipvsDevice) {
		has, err := v.anyServer()
		if err != nil {
			return "", "", err
		}
		if has {
			return facts.ModeIPVS, "kube-ipvs0 and virtual servers", nil
		}
	}
	for _, family := range [...]string{"ip", "ip6"} {
		source, err := v.iptablesTraces(family)
		if err != nil || source != "" {
			return facts.ModeIPTables, source, err
		}
	}
	return "", "", nil
}

// anyServer says whether there are virtual servers.
func (v *vipReader) anyServer() (bool, error) {
	vs, err := v.servers()
	if vs == nil || err != nil {
		return false, err
	}
	list, err := vs.list()
	return len(list) > 0, err
}

// askProxyMode asks kube-proxy for its mode (pkg/proxy/apis, /proxyMode). Only the answer of a socket that root listens on counts: any program may
// listen where no kube-proxy does. Whatever is no mode is no answer.
func (n *NS) askProxyMode(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, proxyAnswer)
	defer cancel()
	for _, ip := range [...]string{"127.0.0.1", "::1"} {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(ip, fmt.Sprint(proxyPort)))
		if err != nil {
			continue
		}
		mode, err := proxyMode(ctx, conn)
		if err := errors.Join(err, conn.Close()); err == nil && mode != "" && n.rootListens(proxyPort) {
			return mode
		}
	}
	return ""
}

// proxyMode asks one HTTP question, by hand: a client would link all of net/http into the CNI plugin.
func proxyMode(ctx context.Context, conn net.Conn) (string, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(conn, "GET /proxyMode HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return "", err
	}
	return parseProxyMode(data), nil
}

// parseProxyMode finds the mode in an answer; empty where it is none.
func parseProxyMode(answer []byte) string {
	head, body, ok := bytes.Cut(answer, []byte("\r\n\r\n"))
	status := strings.Fields(string(head[:min(len(head), 32)]))
	if !ok || len(status) < 2 || !strings.HasPrefix(status[0], "HTTP/1.") || status[1] != "200" {
		return ""
	}
	mode := strings.TrimSpace(string(body))
	if slices.Contains([]string{facts.ModeIPTables, facts.ModeNFTables, facts.ModeIPVS}, mode) {
		return mode
	}
	return ""
}

// rootListens says whether every TCP socket that listens on the port is root's, and there is one.
func (n *NS) rootListens(port uint16) bool {
	found := false
	for _, name := range [...]string{"tcp", "tcp6"} {
		f, err := os.Open(n.procNet(name))
		if err != nil {
			continue
		}
		// Listening sockets come first (tcp_get_idx), so that the thousands of others need not be read.
		head, err := io.ReadAll(io.LimitReader(f, 128<<10))
		if errors.Join(err, f.Close()) != nil {
			return false
		}
		owners := listeningOwners(string(head), port)
		if slices.ContainsFunc(owners, func(uid string) bool { return uid != "0" }) {
			return false
		}
		found = found || len(owners) > 0
	}
	return found
}

// listeningOwners finds the users of the sockets that listen on a port in the text of /proc/net/tcp or tcp6: the second value is the address and port in
// hexadecimal, the fourth the state, 0A for listening, the eighth the user.
func listeningOwners(text string, port uint16) []string {
	var owners []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 8 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			owners = append(owners, f[7])
		}
	}
	return owners
}
