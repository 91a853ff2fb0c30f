package herald

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/netmend/netmend/pkg/kube"
	"github.com/netmend/netmend/test/e2e/lab"
)

// account is who the node is for the API server: RBAC gives it what docs/daemon.md says, and nothing more.
const account = "system:serviceaccount:netmend:netmendd"

// door stands before the API server: it lets requests through as those of the node's account, and notes each.
type door struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // method and path, in order
	shut int      // what is answered instead; 0: nothing
}

func newDoor(t *testing.T, c *lab.Cluster) *door { return doorFor(t, c, account) }

func doorFor(t *testing.T, c *lab.Cluster, account string) *door {
	t.Helper()
	to, err := url.Parse(c.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: c.Transport(), ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Authorization", "Bearer "+c.Token())
			if account != "" {
				r.Out.Header.Set("Impersonate-User", account)
			}
		},
	}
	d := &door{}
	d.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.seen = append(d.seen, r.Method+" "+r.URL.Path)
		shut := d.shut
		d.mu.Unlock()
		if shut != 0 {
			w.WriteHeader(shut)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *door) client(t *testing.T) *kube.Client {
	t.Helper()
	c, err := kube.NewClient(&kube.Access{Server: d.URL, CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw}), Token: "x"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// kubeconfig writes a file by which programs go through the door.
func (d *door) kubeconfig(t *testing.T) string {
	t.Helper()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d.Certificate().Raw})
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "x", "contexts": []object{{"name": "x", "context": object{"cluster": "x", "user": "x"}}},
		"clusters": []object{{"name": "x", "cluster": object{"server": d.URL, "certificate-authority-data": ca}}}, "users": []object{{"name": "x", "user": object{"token": "x"}}},
	})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// count is how many requests there were whose method and path the pattern matches.
func (d *door) count(pattern string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := regexp.MustCompile(pattern)
	for _, s := range d.seen {
		if p.MatchString(s) {
			n++
		}
	}
	return n
}

// writes are the requests that write.
func (d *door) writes() int { return d.count("^(POST|PUT|PATCH|DELETE) ") }

func (d *door) answer(status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = status
}

// last are the newest requests.
func (d *door) last(n int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.seen[max(0, len(d.seen)-n):], "\n")
}

// verbs are what was asked for, each once, as a role has it.
func (d *door) verbs() (out []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.seen {
		method, path, _ := strings.Cut(s, " ")
		parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(path, "/apis"), "/api/v1"), "/")[1:]
		switch {
		case parts[0] == "netmend.io":
			parts = parts[2:]
		case parts[0] == "namespaces":
			parts = parts[2:]
		}
		verb := map[string]string{"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}[method]
		if verb == "get" && len(parts) == 1 {
			verb = "list"
		}
		resource := parts[0]
		if len(parts) == 3 {
			resource += "/" + parts[2]
		}
		if line := fmt.Sprintf("%s: %s", resource, verb); !slices.Contains(out, line) {
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}
