package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/netmend/netmend/pkg/status"
)

// Bounds of HTTP.
const (
	maxClients     = 64
	maxHeader      = 16 << 10
	maxScrapes     = 4 // at a time
	headerTime     = 5 * time.Second
	requestTime    = 10 * time.Second
	responseTime   = 30 * time.Second
	connectionIdle = time.Minute
	lastWords      = time.Second // for answers under way when the daemon ends
)

// serveHTTP answers at an address until the context ends.
func (s *Surfaces) serveHTTP(ctx context.Context, address string, up func()) error {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serve http: %w", err)
	}
	up()
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerTime, ReadTimeout: requestTime, WriteTimeout: responseTime, IdleTimeout: connectionIdle,
		MaxHeaderBytes: maxHeader, ErrorLog: log.New(io.Discard, "", 0), // what strangers send wrong is not worth a line each
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		<-ctx.Done()
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		if server.Shutdown(last) != nil {
			_ = server.Close() // whoever is still reading has had its time
		}
	}()
	err = server.Serve(&limited{Listener: l, free: make(chan struct{}, maxClients)})
	if errors.Is(err, http.ErrServerClosed) {
		<-ended
		return context.Cause(ctx)
	}
	return fmt.Errorf("serve http: %w", errors.Join(err, l.Close()))
}

// handler is everything that may be asked by HTTP.
func (s *Surfaces) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(s.o.Metrics.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes, Timeout: responseTime / 2}))
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	mux.HandleFunc("/live", s.live)
	mux.HandleFunc("/{$}", s.page)
	return s.guard(mux)
}

// guard lets through what only reads, asked for by a name that is this node's. A page of somebody else whose name was made to lead here (DNS rebinding) asks by
// that name.
func (s *Surfaces) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD: nothing can be changed here", http.StatusMethodNotAllowed)
		case !s.mayAsk(r.Host):
			http.Error(w, "asked for by a name that is not known: name it in http.hosts of the configuration", http.StatusMisdirectedRequest)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// mayAsk says whether a Host header is an address, localhost, the node's name or one of the configuration.
func (s *Surfaces) mayAsk(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil || host == "localhost" {
		return true
	}
	settings, _ := s.get()
	is := func(name string) bool { return name != "" && strings.EqualFold(name, host) }
	p, _ := s.o.Board.last()
	return slices.ContainsFunc(settings.Hosts, is) || p != nil && p.Status != nil && is(p.Status.Node)
}

// healthz says whether the loop turns; who runs the daemon starts it again where it does not.
func (s *Surfaces) healthz(w http.ResponseWriter, _ *http.Request) {
	if !s.o.Board.Turning() {
		http.Error(w, fmt.Sprintf("the loop has not turned for %s", BeatPatience), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n") // a client that is gone
}

// readyz says whether the node was audited and mended once since the start.
func (s *Surfaces) readyz(w http.ResponseWriter, _ *http.Request) {
	p, _ := s.o.Board.last()
	switch {
	case p == nil || p.Status == nil || !p.Status.Ready:
		http.Error(w, "the node was not audited yet", http.StatusServiceUnavailable)
	case p.Status.State == status.Stopping:
		http.Error(w, "the daemon ends", http.StatusServiceUnavailable)
	default:
		_, _ = fmt.Fprintf(w, "ok: the node is %s\n", p.Status.State)
	}
}

// limited accepts so many connections at a time; the others wait in the kernel.
type limited struct {
	net.Listener
	free chan struct{} // takes one for each connection
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &counted{Conn: conn, done: sync.OnceFunc(func() { <-l.free })}, nil
}

type counted struct {
	net.Conn
	done func()
}

func (c *counted) Close() error {
	defer c.done()
	return c.Conn.Close()
}
