package kube

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Access says how the API server is reached. Tokens and certificates that are files are read again for each request or connection, because kubelet replaces
// them.
type Access struct {
	Server     string // https://HOST:PORT
	CA         []byte // PEM; empty: the system's
	ServerName string // of the certificate, where it is not the host
	Insecure   bool   // do not look at the certificate

	Token     string
	TokenFile string

	Cert, Key         []byte // PEM
	CertFile, KeyFile string

	Proxy  string   // address of an HTTP or SOCKS5 proxy; empty: what the environment says
	As     string   // who to act as, if the credentials allow it; empty: their own user
	Groups []string // of the one in As
}

// serviceAccount is where kubelet puts a pod's credentials.
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount"

// ErrNotInCluster says that the program does not run in a pod.
var ErrNotInCluster = errors.New("not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")

// InCluster is the access of a pod by its service account.
func InCluster(getenv func(string) string) (*Access, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, ErrNotInCluster
	}
	ca, err := os.ReadFile(serviceAccount + "/ca.crt")
	if err != nil {
		return nil, fmt.Errorf("access to the API server: %w", err)
	}
	return &Access{Server: "https://" + net.JoinHostPort(host, port), CA: ca, TokenFile: serviceAccount + "/token"}, nil
}

// kubeconfig is what of a kubeconfig file is used.
type kubeconfig struct {
	Current  string `json:"current-context"`
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server     string `json:"server"`
			CAFile     string `json:"certificate-authority"`
			CA         []byte `json:"certificate-authority-data"`
			ServerName string `json:"tls-server-name"`
			Insecure   bool   `json:"insecure-skip-tls-verify"`
			Proxy      string `json:"proxy-url"`
			Extensions []struct {
				Name      string          `json:"name"`
				Extension json.RawMessage `json:"extension"`
			} `json:"extensions"`
		} `json:"cluster"`
	} `json:"clusters"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			Token     string   `json:"token"`
			TokenFile string   `json:"tokenFile"`
			CertFile  string   `json:"client-certificate"`
			Cert      []byte   `json:"client-certificate-data"`
			KeyFile   string   `json:"client-key"`
			Key       []byte   `json:"client-key-data"`
			As        string   `json:"as"`
			Groups    []string `json:"as-groups"`
			Exec      *Login   `json:"exec"`
			Provider  any      `json:"auth-provider"`
		} `json:"user"`
	} `json:"users"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
}

// Kubeconfig is the access that a kubeconfig file's current context gives. A user that needs another program to log in is an error: no program is run.
func Kubeconfig(path string) (*Access, error) {
	a, login, err := PersonKubeconfig(path, "")
	if err == nil && login != nil {
		return nil, fmt.Errorf("kubeconfig %s: its user logs in by another program, which is not run here", path)
	}
	return a, err
}

// PersonKubeconfig is the access that a context gives; the current one where the name is empty. A user that needs another program to log in has a login, which has
// to be run before the access is of use: see [Login.Run]. That is for programs that a person runs.
func PersonKubeconfig(path, context string) (*Access, *Login, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	var k kubeconfig
	if err := yaml.Unmarshal(text, &k); err != nil {
		return nil, nil, fmt.Errorf("decode kubeconfig %s: %w", path, err)
	}
	if context != "" {
		k.Current = context
	}
	a, login, err := k.access(filepath.Dir(path))
	if err != nil {
		return nil, nil, fmt.Errorf("kubeconfig %s: %w", path, err)
	}
	return a, login, nil
}

// Contexts are the names of a kubeconfig file's contexts.
func Contexts(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	var k kubeconfig
	if err := yaml.Unmarshal(text, &k); err != nil {
		return nil, fmt.Errorf("decode kubeconfig %s: %w", path, err)
	}
	var out []string
	for _, c := range k.Contexts {
		out = append(out, c.Name)
	}
	return out, nil
}

func (k *kubeconfig) access(dir string) (*Access, *Login, error) {
	context, cluster, user := -1, -1, -1
	for i := range k.Contexts {
		if k.Contexts[i].Name == k.Current {
			context = i
		}
	}
	if context < 0 {
		return nil, nil, fmt.Errorf("no context %q", k.Current)
	}
	for i := range k.Clusters {
		if k.Clusters[i].Name == k.Contexts[context].Context.Cluster {
			cluster = i
		}
	}
	for i := range k.Users {
		if k.Users[i].Name == k.Contexts[context].Context.User {
			user = i
		}
	}
	if cluster < 0 || user < 0 {
		return nil, nil, fmt.Errorf("context %q names a cluster or a user that is not there", k.Current)
	}
	c, u := &k.Clusters[cluster].Cluster, &k.Users[user].User
	if u.Provider != nil {
		return nil, nil, errors.New("its user logs in by an auth-provider, which Kubernetes no longer has: use an exec plugin instead")
	}
	at := func(path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(dir, path)
	}
	a := &Access{
		Server: strings.TrimSuffix(c.Server, "/"), CA: c.CA, ServerName: c.ServerName, Insecure: c.Insecure, Token: u.Token, TokenFile: at(u.TokenFile),
		Cert: u.Cert, Key: u.Key, CertFile: at(u.CertFile), KeyFile: at(u.KeyFile),
		Proxy: c.Proxy, As: u.As, Groups: u.Groups,
	}
	if c.CAFile != "" && len(a.CA) == 0 {
		ca, err := os.ReadFile(at(c.CAFile))
		if err != nil {
			return nil, nil, err
		}
		a.CA = ca
	}
	if u.Exec == nil || a.Token != "" || a.TokenFile != "" { // a token goes first, as in client-go's clientcmd
		return a, nil, nil
	}
	login := *u.Exec
	if strings.ContainsRune(login.Command, filepath.Separator) {
		login.Command = at(login.Command)
	}
	for _, e := range c.Extensions {
		if e.Name == loginExtension {
			login.config = e.Extension
		}
	}
	return a, &login, nil
}

// transport connects as the access says. Each watch has a connection of its own.
func (a *Access) transport() (*http.Transport, error) {
	if !strings.HasPrefix(a.Server, "https://") {
		return nil, fmt.Errorf("API server %q: credentials go over https only", a.Server)
	}
	t := &tls.Config{ServerName: a.ServerName, InsecureSkipVerify: a.Insecure, MinVersion: tls.VersionTLS12}
	if len(a.CA) > 0 {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(a.CA) {
			return nil, errors.New("the API server's CA is no PEM certificate")
		}
	}
	if a.CertFile != "" || len(a.Cert) > 0 {
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			cert, key := a.Cert, a.Key
			var errs [2]error
			if len(cert) == 0 {
				cert, errs[0] = os.ReadFile(a.CertFile)
			}
			if len(key) == 0 {
				key, errs[1] = os.ReadFile(a.KeyFile)
			}
			if err := errors.Join(errs[:]...); err != nil {
				return nil, err
			}
			c, err := tls.X509KeyPair(cert, key)
			return &c, err
		}
	}
	// A machine that is gone, or a path on the way, is noticed before a finding of old rules settles: 10 + 3*5 s.
	proxy := http.ProxyFromEnvironment
	if a.Proxy != "" {
		u, err := url.Parse(a.Proxy)
		if err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", "socks5"}, u.Scheme) {
			return nil, errors.New("proxy-url: it is no address such as https://proxy:3128 or socks5://proxy:1080")
		}
		proxy = http.ProxyURL(u)
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	return &http.Transport{
		TLSClientConfig: t, DialContext: dialer.DialContext, Proxy: proxy, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second, MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second,
	}, nil
}

// authorize adds the token.
func (a *Access) authorize(r *http.Request) error {
	token := []byte(a.Token)
	if a.TokenFile != "" {
		var err error
		if token, err = os.ReadFile(a.TokenFile); err != nil {
			return err
		}
	}
	if len(token) > 0 {
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	if a.As != "" {
		r.Header.Set("Impersonate-User", a.As)
		for _, g := range a.Groups {
			r.Header.Add("Impersonate-Group", g)
		}
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "netmend")
	return nil
}
