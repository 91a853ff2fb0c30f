package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/facts"
)

func TestParseProxyMode(t *testing.T) {
	for _, tt := range []struct{ name, answer, want string }{
		{"iptables", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\niptables", "iptables"},
		{"with a line break", "HTTP/1.1 200 OK\r\n\r\nipvs\n", "ipvs"},
		{"another status", "HTTP/1.0 404 Not Found\r\n\r\niptables", ""},
		{"another mode", "HTTP/1.0 200 OK\r\n\r\nuserspace", ""},
		{"no body", "HTTP/1.0 200 OK\r\n\r\n", ""},
		{"no head", "iptables", ""},
		{"another protocol", "SSH-2.0 200\r\n\r\niptables", ""},
		{"nothing", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parseProxyMode([]byte(tt.answer)); got != tt.want {
				t.Errorf("parseProxyMode(%q) = %q; want %q", tt.answer, got, tt.want)
			}
		})
	}
}

func TestListeningOwners(t *testing.T) {
	const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2809 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:2809 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   2: 0100007F:2809 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1001        0 1 1 0 100 0 0 10 0
   3: 0100007F:280A 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1002        0 1 1 0 100 0 0 10 0
`
	if got, want := listeningOwners(text, proxyPort), []string{"0", "1000"}; !slices.Equal(got, want) {
		t.Errorf("listeningOwners = %v; want %v", got, want)
	}
}

// serve listens on kube-proxy's port in the namespace and treats each connection as it is told.
func serve(t *testing.T, h *Host, treat func(net.Conn)) {
	t.Helper()
	l := inNS(t, h, func() (net.Listener, error) { return net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", proxyPort)) })
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				treat(conn)
			}()
		}
	}()
}

func reply(text string) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := conn.Read(make([]byte, 512)); err == nil {
			fmt.Fprintf(conn, "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s", text)
		}
	}
}

// TestProxyAnswers has peers of every kind on kube-proxy's port: only a mode counts, and none holds the reading up.
func TestProxyAnswers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		treat func(net.Conn)
		want  string
	}{
		{"nftables", reply("nftables"), facts.ModeNFTables},
		{"a lie", reply("quantum"), ""},
		{"silence", func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }, ""},
		{"endless", func(conn net.Conn) {
			for {
				if _, err := conn.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, ""},
		{"byte by byte", func(conn net.Conn) {
			for {
				if _, err := conn.Write([]byte{'x'}); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}, ""},
		{"hang-up", func(net.Conn) {}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, _ := filterNS(t)
			serve(t, h, tt.treat)
			start := time.Now()
			got := inNS(t, h, func() (string, error) { return h.Node().askProxyMode(context.Background()), nil })
			if took := time.Since(start); took > proxyAnswer+500*time.Millisecond {
				t.Errorf("askProxyMode took %v; want no more than %v", took, proxyAnswer)
			}
			if got != tt.want {
				t.Errorf("askProxyMode = %q; want %q", got, tt.want)
			}
		})
	}
}

// TestProxyStranger has a program of another user on the port: it is not asked.
func TestProxyStranger(t *testing.T) {
	t.Parallel()
	h, _ := filterNS(t)
	serve(t, h, reply("iptables"))
	const line = "   0: 0100007F:2809 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0\n"
	root := tree(t, map[string]string{"proc/net/tcp": line}).root
	stranger, err := Open(Options{Root: root, NetNS: h.Node().Path})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if got := inNS(t, stranger, func() (string, error) { return stranger.Node().askProxyMode(context.Background()), nil }); got != "" {
		t.Errorf("askProxyMode of a stranger's socket = %q; want none", got)
	}
}

func TestProxy(t *testing.T) {
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		h, _ := filterNS(t)
		p, err := h.Proxy(context.Background(), nil, nil)
		if err != nil || *p != (facts.Proxy{}) {
			t.Errorf("Proxy = %+v, %v; want nothing", p, err)
		}
	})
	t.Run("answer before traces", func(t *testing.T) {
		t.Parallel()
		h, sh := filterNS(t)
		sh(kubeProxyNFT)
		serve(t, h, reply("iptables"))
		p, err := h.Proxy(context.Background(), nil, nil)
		if err != nil || p.Mode != facts.ModeIPTables || !strings.Contains(p.Source, "proxyMode") {
			t.Errorf("Proxy = %+v, %v; want iptables by its answer", p, err)
		}
	})
	t.Run("traces", func(t *testing.T) {
		t.Parallel()
		h, sh := filterNS(t)
		sh(kubeProxyNFT)
		p, err := h.Proxy(context.Background(), nil, nil)
		if err != nil || p.Mode != facts.ModeNFTables || p.Source != "nft table ip kube-proxy" {
			t.Errorf("Proxy = %+v, %v; want nftables by its table", p, err)
		}
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		h, sh := filterNS(t)
		sh("ip link add cilium_host type bridge")
		p, err := h.Proxy(context.Background(), nil, nil)
		if err != nil || p.Replaced != "cilium" {
			t.Errorf("Proxy = %+v, %v; want it replaced by cilium", p, err)
		}
	})
	t.Run("agents", func(t *testing.T) {
		t.Parallel()
		h, _ := filterNS(t)
		p, err := h.Proxy(context.Background(), []facts.Agent{{Name: "kube-router", PID: 7}}, nil)
		if err != nil || p.Replaced != "kube-router" {
			t.Errorf("Proxy = %+v, %v; want it replaced by kube-router", p, err)
		}
		p, err = h.Proxy(context.Background(), []facts.Agent{{Name: "kube-router", PID: 7}, {Name: "kube-proxy", PID: 8, Age: 9}}, nil)
		if err != nil || p.Replaced != "" || p.Age != 9 {
			t.Errorf("Proxy = %+v, %v; want a kube-proxy of 9 seconds", p, err)
		}
		if p, err = h.Proxy(context.Background(), nil, fs.ErrPermission); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("Proxy without a list of agents = %+v, %v; want the reason", p, err)
		}
	})
	t.Run("beside Cilium", func(t *testing.T) {
		t.Parallel()
		h, sh := filterNS(t)
		sh("ip link add cilium_host type bridge")
		serve(t, h, reply("ipvs"))
		p, err := h.Proxy(context.Background(), nil, nil)
		if err != nil || p.Replaced != "" || p.Mode != facts.ModeIPVS {
			t.Errorf("Proxy = %+v, %v; want a kube-proxy that runs", p, err)
		}
	})
}

func FuzzProxyMode(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\n\r\niptables"), "   0: 0100007F:2809 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0\n")
	f.Fuzz(func(t *testing.T, answer []byte, sockets string) {
		switch mode := parseProxyMode(answer); mode {
		case "", facts.ModeIPTables, facts.ModeNFTables, facts.ModeIPVS:
		default:
			t.Errorf("parseProxyMode = %q", mode)
		}
		listeningOwners(sockets, proxyPort)
	})
}
