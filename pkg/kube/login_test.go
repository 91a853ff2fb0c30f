package kube

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program writes a shell script.
func program(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

const tokenAnswer = `{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"expirationTimestamp":"2030-01-01T00:00:00Z","token":"secret"}}`

func TestLogin(t *testing.T) {
	now := time.Date(2024, 5, 6, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ name, script, version, mode, want string }{
		{"token", "echo '" + tokenAnswer + "'", "", "", ""},
		{"certificate", `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"clientCertificateData":"C","clientKeyData":"K"}}'`, "", "Never", ""},
		{"certificate without key", `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"clientCertificateData":"C"}}'`, "", "", "a certificate without a key"},
		{"nothing", `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{}}'`, "", "", "neither a token nor a certificate"},
		{"expired", "echo '" + strings.Replace(tokenAnswer, "2030", "2020", 1) + "'", "", "", "has expired"},
		{"another version", "echo '" + strings.Replace(tokenAnswer, "/v1", "/v1beta1", 1) + "'", "", "", "answers in another version"},
		{"no JSON", "echo secret", "", "", "no ExecCredential"},
		{"fails", "echo 'please log in' >&2; echo secret; exit 3", "", "", "exit status 3"},
		{"much", "head -c 2000000 /dev/zero", "", "", "larger than"},
		{"old", "true", "client.authentication.k8s.io/v1alpha1", "", "is not known"},
		{"nobody to ask", "true", "", "Always", "standard input is no terminal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var messages bytes.Buffer
			l := &Login{APIVersion: "client.authentication.k8s.io/v1", Command: program(t, t.TempDir(), "login", tt.script), Interactive: tt.mode}
			if tt.version != "" {
				l.APIVersion = tt.version
			}
			a, err := l.Run(context.Background(), &Access{Server: "https://192.0.2.1"}, Terminal{Env: os.Environ(), Err: &messages, Now: now})
			switch {
			case tt.want == "" && (err != nil || a.Token != "secret" && string(a.Cert)+string(a.Key) != "CK" || a.Server != "https://192.0.2.1"):
				t.Errorf("Run = %+v, %v", a, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret")):
				t.Errorf("Run: %v; want an error with %q and without the secret", err, tt.want)
			}
			if tt.name == "fails" && messages.String() != "please log in\n" {
				t.Errorf("it says %q; want what the program says", messages.String())
			}
		})
	}
	l := &Login{APIVersion: "client.authentication.k8s.io/v1", Command: "no-such-program-anywhere", Hint: "install it\nfrom x"}
	if _, err := l.Run(context.Background(), &Access{}, Terminal{}); err == nil || !strings.Contains(err.Error(), "install it from x") {
		t.Errorf("a program that is not there: %v; want how to install it", err)
	}
}

// TestLoginOfKubeconfig runs a program that is named relative to its file and wants to know of the cluster.
func TestLoginOfKubeconfig(t *testing.T) {
	dir := t.TempDir()
	program(t, dir, "login", `[ "$1 $COLOUR" = "get blue" ] || exit 1
printf '%s' "$KUBERNETES_EXEC_INFO" > "$(dirname "$0")/info"
echo '`+strings.ReplaceAll(tokenAnswer, "/v1", "/v1beta1")+`'`)
	config := filepath.Join(dir, "config")
	err := os.WriteFile(config, []byte(`{current-context: x, contexts: [{name: c, context: {cluster: k, user: u}}, {name: d, context: {cluster: k, user: v}}],
clusters: [{name: k, cluster: {server: "https://192.0.2.1:6443", certificate-authority-data: Q0E=, extensions: [{name: client.authentication.k8s.io/exec, extension: {audience: a}}]}}],
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./login, args: [get], env: [{name: COLOUR, value: blue}], provideClusterInfo: true}}},
  {name: v, user: {token: t, exec: {command: x}}}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	a, login, err := PersonKubeconfig(config, "c")
	if err != nil || login == nil {
		t.Fatalf("PersonKubeconfig = %+v, %+v, %v; want a login", a, login, err)
	}
	if a, err = login.Run(context.Background(), a, Terminal{Env: os.Environ(), Err: os.Stderr, Now: time.Unix(1_700_000_000, 0)}); err != nil || a.Token != "secret" {
		t.Errorf("Run = %+v, %v", a, err)
	}
	info, err := os.ReadFile(filepath.Join(dir, "info"))
	want := `{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","spec":{"interactive":false,"cluster":{"server":"https://192.0.2.1:6443","certificate-authority-data":"Q0E=","config":{"audience":"a"}}}}`
	if err != nil || string(info) != want {
		t.Errorf("the program was told %s, %v; want %s", info, err, want)
	}
	if a, login, err := PersonKubeconfig(config, "d"); err != nil || login != nil || a.Token != "t" {
		t.Errorf("a user with a token: %+v, %+v, %v; want no login", a, login, err)
	}
	if _, _, err := PersonKubeconfig(config, ""); err == nil || !strings.Contains(err.Error(), `no context "x"`) {
		t.Errorf("the current context: %v; want an error", err)
	}
	if names, err := Contexts(config); err != nil || strings.Join(names, " ") != "c d" {
		t.Errorf("Contexts = %v, %v", names, err)
	}
}

// TestAccessOfPerson asks as somebody else, through a proxy.
func TestAccessOfPerson(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config")
	err := os.WriteFile(config, []byte(`{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],
clusters: [{name: k, cluster: {server: "https://192.0.2.1:6443", proxy-url: "socks5://192.0.2.9:1080"}}], users: [{name: u, user: {token: t, as: jane, as-groups: [a, b]}}]}`), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := PersonKubeconfig(config, "")
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodGet, a.Server, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.authorize(r); err != nil || r.Header.Get("Impersonate-User") != "jane" || strings.Join(r.Header["Impersonate-Group"], " ") != "a b" {
		t.Errorf("it asks with %v, %v; want as jane of two groups", r.Header, err)
	}
	way, err := a.transport()
	if err != nil {
		t.Fatal(err)
	}
	if u, err := way.Proxy(r); err != nil || u == nil || u.String() != "socks5://192.0.2.9:1080" {
		t.Errorf("it goes by %v, %v; want the proxy", u, err)
	}
	a.Proxy = "proxy:3128"
	if _, err := a.transport(); err == nil || !strings.Contains(err.Error(), "proxy-url") {
		t.Errorf("a proxy without a scheme: %v; want an error", err)
	}
}
