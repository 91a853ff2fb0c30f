package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"time"
)

// Login is a program that logs a person in: an exec credential plugin of a kubeconfig file, as those of the clouds are. It speaks ExecCredential of
// client.authentication.k8s.io, v1 or v1beta1 (k8s.io/client-go/plugin/pkg/client/auth/exec).
type Login struct {
	APIVersion  string   `json:"apiVersion"`
	Command     string   `json:"command"`
	Args        []string `json:"args"`
	Hint        string   `json:"installHint"` // what to do where the program is not there
	Interactive string   `json:"interactiveMode"`
	Cluster     bool     `json:"provideClusterInfo"`
	Env         []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"env"`

	config json.RawMessage // of the cluster, for the program
}

// loginExtension names the part of a cluster in a kubeconfig file that is for the program.
const loginExtension = "client.authentication.k8s.io/exec"

// maxLogin bounds what a program may write.
const maxLogin = 1 << 20

// Terminal is what a program that logs a person in is run with.
type Terminal struct {
	Env         []string  // of this process
	In          io.Reader // nil: nobody is there to be asked
	Err         io.Writer
	Now         time.Time
	Interactive bool // In is a person's terminal
}

// execCredential is what both sides say.
type execCredential struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Interactive bool         `json:"interactive"`
		Cluster     *execCluster `json:"cluster,omitempty"`
	} `json:"spec"`
	Status *struct {
		Expires string `json:"expirationTimestamp,omitempty"`
		Token   string `json:"token,omitempty"`
		Cert    string `json:"clientCertificateData,omitempty"` // PEM
		Key     string `json:"clientKeyData,omitempty"`
	} `json:"status,omitempty"`
}

type execCluster struct {
	Server     string          `json:"server"`
	ServerName string          `json:"tls-server-name,omitempty"`
	Insecure   bool            `json:"insecure-skip-tls-verify,omitempty"`
	CA         []byte          `json:"certificate-authority-data,omitempty"`
	Proxy      string          `json:"proxy-url,omitempty"`
	Config     json.RawMessage `json:"config,omitempty"`
}

// Run runs the program and gives the access with what it says. Errors never hold what it wrote to its output, which may be a secret.
func (l *Login) Run(ctx context.Context, a *Access, t Terminal) (*Access, error) {
	fail := func(format string, args ...any) (*Access, error) {
		return nil, fmt.Errorf("log in by %s: %w", l.Command, fmt.Errorf(format, args...))
	}
	if !slices.Contains([]string{"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"}, l.APIVersion) {
		return fail("its version %q is not known: v1 and v1beta1 of client.authentication.k8s.io are", l.APIVersion)
	}
	if l.Command == "" {
		return fail("the kubeconfig names no command")
	}
	interactive := t.Interactive && l.Interactive != "Never"
	if l.Interactive == "Always" && !interactive {
		return fail("it wants to ask a person, and standard input is no terminal")
	}
	ask := execCredential{APIVersion: l.APIVersion, Kind: "ExecCredential"}
	ask.Spec.Interactive = interactive
	if l.Cluster {
		ask.Spec.Cluster = &execCluster{Server: a.Server, ServerName: a.ServerName, Insecure: a.Insecure, CA: a.CA, Proxy: a.Proxy, Config: l.config}
	}
	info, err := json.Marshal(ask)
	if err != nil {
		return fail("%w", err)
	}
	var text bytes.Buffer
	out := &atMost{w: &text, left: maxLogin}
	cmd := exec.CommandContext(ctx, l.Command, l.Args...)
	cmd.Env = slices.Clone(t.Env)
	for _, e := range l.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+e.Value)
	}
	cmd.Env = append(cmd.Env, "KUBERNETES_EXEC_INFO="+string(info))
	cmd.Stdout, cmd.Stderr = out, t.Err
	cmd.WaitDelay = 5 * time.Second // a program that it left running may hold its output open
	if interactive {
		cmd.Stdin = t.In
	}
	if err := cmd.Run(); err != nil || out.left < 0 {
		if out.left < 0 {
			return fail("what it wrote is %w", ErrTooLarge)
		}
		if errors.Is(err, exec.ErrNotFound) && l.Hint != "" {
			return fail("%w: %s", err, clip(l.Hint))
		}
		return fail("%w", err)
	}
	return l.answer(a, text.Bytes(), t.Now)
}

// answer takes the credentials from what the program wrote.
func (l *Login) answer(a *Access, text []byte, now time.Time) (*Access, error) {
	fail := func(why string) (*Access, error) { return nil, fmt.Errorf("log in by %s: %s", l.Command, why) }
	var got execCredential
	if err := json.Unmarshal(text, &got); err != nil || got.Kind != "ExecCredential" {
		return fail("what it wrote is no ExecCredential")
	}
	s := got.Status
	switch {
	case got.APIVersion != l.APIVersion:
		return fail("it answers in another version than " + l.APIVersion)
	case s == nil || s.Token == "" && s.Cert == "":
		return fail("it gave neither a token nor a certificate")
	case (s.Cert == "") != (s.Key == ""):
		return fail("it gave a certificate without a key, or a key without a certificate")
	}
	if expires, err := time.Parse(time.RFC3339, s.Expires); err == nil && !expires.After(now) {
		return fail("what it gave has expired")
	}
	out := *a
	if s.Token != "" {
		out.Token, out.TokenFile = s.Token, ""
	}
	if s.Cert != "" {
		out.Cert, out.Key, out.CertFile, out.KeyFile = []byte(s.Cert), []byte(s.Key), "", ""
	}
	return &out, nil
}

// atMost fails behind its bound.
type atMost struct {
	w    io.Writer
	left int
}

func (w *atMost) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, ErrTooLarge
	}
	return w.w.Write(p)
}
