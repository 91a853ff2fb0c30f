package kubeapi

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/pkg/kube/herald"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/test/e2e/lab"
)

// client asks the API server of a cluster with a token.
func client(t *testing.T, c *lab.Cluster, token string) *kube.Client {
	t.Helper()
	to, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(&httputil.ReverseProxy{Transport: c.Transport(), Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }})
	t.Cleanup(s.Close)
	k, err := kube.NewClient(&kube.Access{Server: s.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestHerald tells everything with what the chart's role and admission policy let a node's token do: it is enough.
func TestHerald(t *testing.T) {
	c := lab.NewCluster(t)
	install(t, c, render(t, "kubernetes.startupTaint=true"))
	for i := range 10 {
		c.CreateNode(fmt.Sprintf("node%d", i), fmt.Sprintf("10.99.0.%d", 10+i))
		if _, err := c.Do("PATCH", fmt.Sprintf("/api/v1/nodes/node%d/status", i), object{"status": object{"conditions": []object{{"type": "Ready", "status": "True"}}}}); err != nil {
			t.Fatal(err)
		}
	}
	node := "/api/v1/nodes/node0"
	if _, err := c.Do("PATCH", node, object{"spec": object{"taints": []object{{"key": herald.TaintKey, "effect": "NoSchedule"}, {"key": "a/b", "effect": "NoSchedule"}}}}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	health := "untold"
	h, err := herald.New(herald.Options{
		Client: client(t, c, token(t, c, "node0")), Node: "node0", Say: herald.Say{Report: true, Condition: true, Events: true, Taint: true},
		Pace: herald.Pace{Settle: 100 * time.Millisecond, Spread: time.Millisecond, Refused: time.Second},
		Health: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			health = fmt.Sprint(err)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { h.Run(ctx) })
	defer run.Wait()
	defer cancel()
	say := func(state status.State, findings ...status.Finding) {
		h.Feed(&status.Document{State: state, Ready: true, Mode: "audit", Started: time.Now().Add(-time.Hour), At: time.Now(), Findings: findings}, &facts.Snapshot{})
	}
	holds := func(path string, words ...string) {
		t.Helper()
		lab.WaitFor(t, time.Minute, fmt.Sprint(path, " ", words), func() (bool, string) {
			text, err := c.Do("GET", path, nil)
			if err != nil {
				return false, err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			for _, w := range words {
				if without, absent := strings.CutPrefix(w, "!"); strings.Contains(string(text), without) == absent {
					return false, fmt.Sprintf("%s; health: %s", text, health)
				}
			}
			return health == "<nil>", health
		})
	}
	report, events := "/apis/netmend.io/v1alpha1/nodenetworkreports/node0", "/api/v1/events"
	say(status.Proven)
	holds(node, "NetworkProven", "a/b", "!"+herald.TaintKey)
	holds(report, `"state":"proven"`)
	say(status.Faulty, status.Finding{Check: "cni-conf-order", Severity: check.Critical, Settled: true, Where: "10-x.conflist", Message: "x"})
	holds(node, "NetworkFaulty", "a/b", herald.TaintKey)
	holds(report, `"state":"faulty"`, "!claim")
	holds(events, "cni-conf-order on 10-x.conflist")
	h.Tell(status.Report{Pod: "default/web", PodUID: "u", Verdict: "warn", Message: "slow", At: time.Now()})
	holds(events, `"reason":"PodNetworkWarned"`)
	say(status.Proven)
	holds(node, "NetworkProven", "a/b", "!"+herald.TaintKey)
	say(status.Faulty, status.Finding{Check: "cni-conf-order", Severity: check.Critical, Where: "10-x.conflist", Message: "x"})
	holds(events, `"count":2`)
	h.Configure(herald.Say{})
	holds(node, "!NetworkMisconfigured")
	holds("/apis/netmend.io/v1alpha1/nodenetworkreports", `"items":[]`)
}
