package bench

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/netmend/netmend/pkg/config"
	"github.com/netmend/netmend/pkg/status"
	"github.com/netmend/netmend/pkg/verdict"
	"github.com/netmend/netmend/test/e2e/lab"
)

const (
	truthLength    = time.Minute
	maxChangeShare = 0.02 // of one processor, while the API server tells of a change each second
)

// BenchmarkDaemonTruth lets netmendd compare a node's rules with an API server that has very many Services, first while nothing happens and then while something
// changes each second, and measures its memory and its share of the processors. The API server is a program of the test, since a real one takes minutes to be
// filled; its answers have the form, and about the size, of a real one's. With -short there are fewer Services, and less time passes.
func BenchmarkDaemonTruth(b *testing.B) {
	count, length := manyServices, truthLength
	if testing.Short() {
		count, length = 500, 40*time.Second
	}
	program := filepath.Join(b.TempDir(), "netmendd")
	if err := lab.Build(program, "./cmd/netmendd"); err != nil {
		b.Fatal(err)
	}
	n := lab.NewNode(b, "truth")
	n.Sh("sysctl -qw net.ipv4.ip_forward=1")
	load := n.Command("iptables-nft-restore")
	load.Stdin = strings.NewReader(iptablesRules(count))
	if out, err := load.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	var busy atomic.Bool
	kubeconfig := apiServer(b, n, count, &busy)
	n.Write("etc/netmend/netmend.yaml", "apiVersion: %s\nkind: %s\nhttp: {listen: off}\nkubernetes: {access: %s, node: node1, report: false, condition: false, events: false}\n",
		config.APIVersion, config.Kind, kubeconfig)
	run, err := os.MkdirTemp("/tmp", "nmb") // the path of a socket is short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(run) })
	socket := filepath.Join(run, "s")
	mend := n.Start(program, "--root", n.Root, "--socket", socket, "--node-state", filepath.Join(run, "node-state"))
	ask := func() (s status.Document) {
		data, err := verdict.Status(socket, time.Now().Add(10*time.Second))
		if err == nil {
			err = json.Unmarshal(data, &s)
		}
		if err != nil {
			s.Versions.Kernel = err.Error()
		}
		return s
	}
	proven := func(s status.Document) bool {
		return s.Ready && strings.Contains(strings.Join(s.Audit.Judged, " "), "service-rules-stale") && len(s.Findings) == 0
	}
	lab.WaitFor(b, 2*time.Minute, "the rules to be proven", func() (bool, string) {
		time.Sleep(time.Second)
		s := ask()
		log, _ := os.ReadFile(mend.Log)
		return proven(s), fmt.Sprintf("%+v\n%s", s, log)
	})
	first := used(b, mend)
	time.Sleep(length)
	idle := used(b, mend)
	busy.Store(true)
	start, looks := time.Now(), ask().Audit.Total
	time.Sleep(length)
	changing, took := used(b, mend), time.Since(start)
	s := ask()
	if !proven(s) {
		b.Errorf("the node is %s, with %d findings", s.State, len(s.Findings))
	}
	ratio(b, "daemon-truth-resident", float64(idle.resident)/maxIdleResident, 1, fmt.Sprintf("%d Services of %d endpoints: %.1f MiB resident of %d MiB when nothing happens; %.1f MiB after the first look, %.1f MiB while something changes each second, %.1f MiB at most",
		count, endpoints, float64(idle.resident)/1024, maxIdleResident>>10, float64(first.resident)/1024, float64(changing.resident)/1024, float64(changing.most)/1024))
	share := float64(changing.time-idle.time) / float64(took)
	ratio(b, "daemon-truth-cpu", share/maxChangeShare, 1, fmt.Sprintf("%.2f %% of a processor, of %.1f %%, while the API server tells of a change each second: %d looks in %s",
		100*share, 100*maxChangeShare, s.Audit.Total-looks, took.Round(time.Second)))
}

// apiServer has the Services whose rules are loaded, listens in the node's namespace, and writes a kubeconfig. While it is busy an endpoint goes from node to node,
// which changes nothing of the rules.
func apiServer(b *testing.B, n *lab.Node, count int, busy *atomic.Bool) (kubeconfig string) {
	b.Helper()
	var listener net.Listener
	if err := n.Do(func() (err error) {
		listener, err = net.Listen("tcp", "127.0.0.1:6443")
		return err
	}); err != nil {
		b.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, count, busy) }))
	if err := s.Listener.Close(); err != nil {
		b.Fatal(err)
	}
	s.Listener = listener
	s.StartTLS()
	b.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	kubeconfig = filepath.Join(b.TempDir(), "kubeconfig")
	text, err := json.Marshal(map[string]any{
		"current-context": "c", "contexts": []any{map[string]any{"name": "c", "context": map[string]any{"cluster": "k", "user": "u"}}},
		"clusters": []any{map[string]any{"name": "k", "cluster": map[string]any{"server": "https://127.0.0.1:6443",
			"certificate-authority-data": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})}}},
		"users": []any{map[string]any{"name": "u", "user": map[string]any{"token": "t"}}},
	})
	if err == nil {
		err = os.WriteFile(kubeconfig, text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	return kubeconfig
}

// what a real API server says of each object beside what is used.
const managed = `"uid":"0f7cd2b1-9a55-4a0e-8f8b-0f1f7a3f7a1e","creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[{"manager":"kube-controller-manager","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:internalTrafficPolicy":{},"f:ports":{".":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{},"f:targetPort":{}}},"f:selector":{},"f:sessionAffinity":{},"f:type":{}}}}]`

func answer(w http.ResponseWriter, r *http.Request, count int, busy *atomic.Bool) {
	slicesPath := strings.HasSuffix(r.URL.Path, "/endpointslices")
	if r.URL.Query().Get("watch") != "" {
		watch(w, r, slicesPath, busy)
		return
	}
	fmt.Fprint(w, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"5"},"items":[`)
	separator := ""
	for i, l := range loadServices(count) {
		switch {
		case slicesPath:
			fmt.Fprint(w, separator, sliceText(&l, 5, "node7"))
		case strings.HasSuffix(r.URL.Path, "/services"):
			namespace, name, _ := strings.Cut(strings.TrimSuffix(l.name, ":http"), "/")
			fmt.Fprintf(w, `%s{"metadata":{"name":%q,"namespace":%q,"resourceVersion":"5",%s},"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"targetPort":80}],"selector":{"app":%q},"clusterIP":%q,"clusterIPs":[%q],"type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","internalTrafficPolicy":"Cluster"},"status":{"loadBalancer":{}}}`,
				separator, name, namespace, managed, name, l.vip, l.vip)
		case strings.HasSuffix(r.URL.Path, "/nodes") && i == 0:
			fmt.Fprint(w, `{"metadata":{"name":"node1","resourceVersion":"5"},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}`)
		}
		separator = ","
		if !slicesPath && !strings.HasSuffix(r.URL.Path, "/services") {
			break
		}
	}
	fmt.Fprint(w, "]}")
}

func sliceText(l *loadService, version int, node string) string {
	namespace, name, _ := strings.Cut(strings.TrimSuffix(l.name, ":http"), "/")
	var ends []string
	for i, e := range l.ends {
		on := fmt.Sprintf("node%d", i)
		if i == 0 {
			on = node
		}
		ends = append(ends, fmt.Sprintf(`{"addresses":[%q],"conditions":{"ready":true,"serving":true,"terminating":false},"targetRef":{"kind":"Pod","namespace":%q,"name":"%s-7c5d-%d","uid":"0f7cd2b1-9a55-4a0e-8f8b-0f1f7a3f7a1e"},"nodeName":%q}`,
			e.Addr(), namespace, name, i, on))
	}
	return fmt.Sprintf(`{"metadata":{"name":"%s-x7f2p","namespace":%q,"resourceVersion":"%d","labels":{"kubernetes.io/service-name":%q,"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io"},%s},"addressType":"IPv4","endpoints":[%s],"ports":[{"name":"http","protocol":"TCP","port":80}]}`,
		name, namespace, version, name, managed, strings.Join(ends, ","))
}

// watch tells of a change each second while it is busy, and says each minute that it is there.
func watch(w http.ResponseWriter, r *http.Request, slicesPath bool, busy *atomic.Bool) {
	l := loadServices(1)[0]
	second := time.NewTicker(time.Second)
	defer second.Stop()
	for version := 6; ; version++ {
		switch {
		case slicesPath && busy.Load():
			fmt.Fprintf(w, `{"type":"MODIFIED","object":%s}`+"\n", sliceText(&l, version, fmt.Sprintf("node%d", version)))
		case version%60 == 6:
			fmt.Fprintf(w, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"%d"}}}`+"\n", version)
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-second.C:
		}
	}
}
