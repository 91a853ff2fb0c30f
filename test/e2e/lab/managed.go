package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Managed is a control plane with all that belongs to one: an API server with admission, which refuses privileged containers, and a certificate that its clients
// trust, the controllers, and a scheduler.
type Managed struct {
	*Cluster

	programs    string // the directory of kubelet, kubectl and the others
	certificate []byte
}

// NewManaged starts a control plane for these nodes, to which it joins them. Whoever makes them real nodes runs a kubelet on each.
func NewManaged(t TB, nodes ...*Node) *Managed {
	t.Helper()
	programs := Cache(t, "cluster")
	m := &Managed{Cluster: newCluster(t), programs: programs}
	if err := m.writeIdentities(nodes); err != nil {
		t.Fatalf("%v", err)
	}
	for _, n := range nodes {
		m.wire(n)
	}
	m.StartServer()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"kube-controller-manager", []string{"--allocate-node-cidrs", "--cluster-cidr=" + PodCIDR, "--service-cluster-ip-range=" + ServiceCIDR, "--root-ca-file=" + m.file("server.crt"),
			"--service-account-private-key-file=" + m.file("key"), "--use-service-account-credentials", "--secure-port=0", "--leader-elect=false"}},
		{"kube-scheduler", []string{"--secure-port=0", "--leader-elect=false"}},
	} {
		kubeconfig := m.file(c.name + ".kubeconfig")
		if err := os.WriteFile(kubeconfig, []byte(m.Identity(c.name)), 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		m.ShowLog(t, m.NS.Start(filepath.Join(programs, c.name), append(c.args, "--kubeconfig="+kubeconfig)...))
	}
	if err := os.WriteFile(m.AdminConfig(), []byte(m.Identity(token)), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	return m
}

func (m *Managed) file(name string) string { return filepath.Join(m.dir, name) }

// writeIdentities writes whom the API server knows, each by a token that is its short name, and how it is known itself.
func (m *Managed) writeIdentities(nodes []*Node) error {
	lines := []string{
		token + ",admin,admin,system:masters", "kube-proxy,system:kube-proxy,kube-proxy", "kube-scheduler,system:kube-scheduler,kube-scheduler",
		"kube-controller-manager,system:kube-controller-manager,kube-controller-manager",
	}
	for _, n := range nodes {
		lines = append(lines, fmt.Sprintf("%s,system:node:%[1]s,%[1]s,system:nodes", n.Name))
	}
	if err := os.WriteFile(m.file("identities"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	if err := writeCertificate(m.file("server.crt"), m.file("server.key"), controlPlane, firstService, "127.0.0.1"); err != nil {
		return err
	}
	var err error
	m.certificate, err = os.ReadFile(m.file("server.crt"))
	return err
}

// StartServer starts the API server, for the first time or after StopServer, and waits until it is ready.
func (m *Managed) StartServer() {
	m.t.Helper()
	m.api = m.startServer(m.file("identities"), "--tls-cert-file="+m.file("server.crt"), "--tls-private-key-file="+m.file("server.key"), "--kubelet-preferred-address-types=InternalIP")
}

// Identity is the kubeconfig of a client who has a token: a node's name, kube-proxy, or one of the control plane's programs.
func (m *Managed) Identity(token string) string {
	return Kubeconfig(controlPlane, token, m.certificate)
}

// AdminConfig is the path of the administrator's kubeconfig. The control plane is reached from its namespace only.
func (m *Managed) AdminConfig() string { return m.file("admin.kubeconfig") }

// Program is the path of kubelet, kube-proxy or kubectl.
func (m *Managed) Program(name string) string {
	if name == "kube-proxy" {
		return filepath.Join(m.bin, name)
	}
	return filepath.Join(m.programs, name)
}

// Admin runs a program as the cluster's administrator, such as kubectl and helm, and gives what it prints.
func (m *Managed) Admin(program string, args ...string) (string, error) {
	cmd := m.NS.Command("env", append([]string{"KUBECONFIG=" + m.AdminConfig(), "HOME=" + m.dir, program}, args...)...)
	return runShell(cmd, filepath.Base(program)+" "+strings.Join(args, " "))
}

// ShowLog has the end of a program's log shown if the test fails.
func (m *Managed) ShowLog(t TB, p *Process) {
	t.Cleanup(func() {
		if f, ok := t.(interface{ Failed() bool }); ok && f.Failed() {
			t.Logf("the end of %s:%s", filepath.Base(p.Log), Tail(p.Log, 40))
		}
	})
}

// patience is how long anything of a cluster may take on a machine that is busy with other things.
const patience = 5 * time.Minute

// Await asks until the answer is yes, as [WaitFor] does, for as long as a cluster may take.
func (m *Managed) Await(what string, ask func() (ok bool, missing string)) {
	m.t.Helper()
	WaitFor(m.t, patience, what, ask)
}
