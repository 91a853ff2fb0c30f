package depart

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/kube"
)

// TestAwaitMany has so many nodes that the list of their pods takes more than one answer may.
func TestAwaitMany(t *testing.T) {
	const nodes, each = 2000, 3 << 10
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list := func(item func(i int) string) {
			from, limit := 0, nodes
			_, _ = fmt.Sscan(r.URL.Query().Get("continue"), &from) // nothing is 0
			_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &limit)
			to, next := min(from+limit, nodes), ""
			if to < nodes {
				next = fmt.Sprint(to)
			}
			items := make([]string, 0, limit)
			for i := from; i < to; i++ {
				items = append(items, item(i))
			}
			_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"7","continue":%q},"items":[%s]}`, next, strings.Join(items, ","))
		}
		switch r.URL.Path {
		case "/apis/apps/v1/namespaces/kube-system/daemonsets/retire":
			_, _ = fmt.Fprintf(w, `{"metadata":{"generation":1},"spec":{"selector":{"matchLabels":{"app":"retire"}}},"status":{"observedGeneration":1,"desiredNumberScheduled":%d}}`, nodes)
		case "/api/v1/nodes":
			list(func(i int) string {
				return fmt.Sprintf(`{"metadata":{"name":"n%d"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`, i)
			})
		case "/api/v1/namespaces/kube-system/pods":
			if r.URL.Query().Get("labelSelector") != "app=retire" {
				t.Errorf("pods were asked for by %q", r.URL.RawQuery)
			}
			list(func(i int) string {
				return fmt.Sprintf(`{"metadata":{"name":"p%d","annotations":{"x":%q}},"spec":{"nodeName":"n%d"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}`,
					i, strings.Repeat("x", each), i)
			})
		default:
			http.NotFound(w, r)
		}
	}))
	defer s.Close()
	c, err := kube.NewClient(&kube.Access{Server: s.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), Token: "x"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if p, err := Await(ctx, c, Set{"kube-system", "retire"}, 0); err != nil || p.Done != nodes {
		t.Errorf("Await: %d of %d nodes, %v", p.Done, nodes, err)
	}
}
