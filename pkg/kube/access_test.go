package kube

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestKubeconfig(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		name := filepath.Join(dir, "config")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const good = `{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}], clusters: [{name: k, cluster: {server: "https://192.0.2.1:6443/", insecure-skip-tls-verify: true}}],
users: [{name: u, user: {client-certificate: pki/kubelet.pem, client-key: /etc/kubelet.key}}]}`
	a, err := Kubeconfig(write(good))
	if err != nil || a.Server != "https://192.0.2.1:6443" || a.CertFile != filepath.Join(dir, "pki/kubelet.pem") || a.KeyFile != "/etc/kubelet.key" || !a.Insecure {
		t.Errorf("Kubeconfig = %+v, %v", a, err)
	}
	for _, tt := range []struct{ name, text, want string }{
		{"no context", strings.Replace(good, "current-context: c", "current-context: x", 1), `no context "x"`},
		{"no user", strings.Replace(good, "user: u}", "user: y}", 1), "a user that is not there"},
		{"another program", strings.Replace(good, "client-key: /etc/kubelet.key", "exec: {command: x}", 1), "another program"},
		{"no yaml", "a: b: c", "decode kubeconfig"},
	} {
		if _, err := Kubeconfig(write(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want an error with %q", tt.name, err, tt.want)
		}
	}
	if _, err := NewMirror(&Access{Server: "http://192.0.2.1"}, "n", time.Now, nil); err == nil || !strings.Contains(err.Error(), "https only") {
		t.Errorf("NewMirror over http: %v", err)
	}
	if _, err := InCluster(func(string) string { return "" }); err != ErrNotInCluster {
		t.Errorf("InCluster = %v; want %v", err, ErrNotInCluster)
	}
}

// FuzzWatch reads what a server that is none says.
func FuzzWatch(f *testing.F) {
	f.Add([]byte(`{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a","namespace":"b"}}]}`))
	f.Add([]byte(`{"type":"ADDED","object":{"metadata":{"name":"a","namespace":"b","resourceVersion":"8"}}}{"type":"ERROR","object":{"code":410}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &reflector{kind: kindService, add: func(o *object) error { _, err := service(o, intern{}); return err }}
		_, _, _ = listPage(strings.NewReader(string(data)), r.item) // it must end and not panic
		d := json.NewDecoder(strings.NewReader(string(data)))
		for {
			var e event
			if d.Decode(&e) != nil {
				return
			}
			if e.Type == "ERROR" && e.failure("/") == nil {
				t.Error("an error is none")
			}
			var o object
			_ = json.Unmarshal(e.Object, &o)
		}
	})
}
