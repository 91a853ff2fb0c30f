package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/netmend/netmend/test/e2e/containerd"
	"github.com/netmend/netmend/test/e2e/lab"
)

// webImage is that of the pods.
const webImage = "localhost/web:1"

// cluster is a control plane and two nodes with a flannel between them.
type cluster struct {
	*lab.Managed
	workers [2]*worker
	flannel *lab.Flannel

	t *testing.T
}

// newCluster starts everything and waits until both nodes are ready. The archives are of images that both have.
func newCluster(t *testing.T, archives ...string) *cluster {
	t.Helper()
	nodes := [2]*lab.Node{lab.NewNode(t, "a"), lab.NewNode(t, "b")}
	c := &cluster{Managed: lab.NewManaged(t, nodes[:]...), t: t}
	archives = append(archives, image(t, containerd.PauseImage, "./test/cri/pause"), image(t, webImage, "./test/cluster/web"))
	var uplinks [2]string
	for i, n := range nodes {
		w := &worker{Machine: newMachine(t, n, c.Managed), proxy: []string{"iptables", "nftables"}[i], t: t, c: c.Managed}
		c.workers[i] = w
		n.Sh("ethtool -K eth0 tx off >/dev/null") // a NIC that finishes checksums on the wire
		w.address = strings.TrimSpace(n.Sh("ip -4 -o addr show eth0 | sed 's/.*inet //; s,/.*,,'"))
		uplinks[i] = w.address
		w.startRuntime(archives...)
		w.startKubelet()
		w.startProxy()
		subnet := fmt.Sprintf("10.244.%d.0/24", i)
		c.Await("the pods' addresses of "+n.Name, func() (bool, string) {
			out, err := c.kubectl("get", "node", n.Name, "-o", "jsonpath={.spec.podCIDR}")
			return out == subnet, fmt.Sprint(out, err) + lab.Tail(w.kubelet.Log, 5)
		})
		w.configure(subnet)
	}
	c.flannel = lab.JoinFlannel(nodes, uplinks)
	for i, w := range c.workers {
		w.Agent("flanneld")
		c.must("annotate", "node", w.Name, "flannel.alpha.coreos.com/public-ip="+w.address, "flannel.alpha.coreos.com/backend-type=vxlan",
			fmt.Sprintf(`flannel.alpha.coreos.com/backend-data={"VNI":1,"VtepMAC":%q}`, c.flannel.MAC(i)), "flannel.alpha.coreos.com/kube-subnet-manager=true")
	}
	for _, w := range c.workers {
		c.until(w.Name+" to be ready", "True", "get", "node", w.Name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	}
	return c
}

func (c *cluster) kubectl(args ...string) (string, error) {
	return c.Admin(c.Program("kubectl"), args...)
}

// must runs kubectl, which must not fail.
func (c *cluster) must(args ...string) string {
	c.t.Helper()
	out, err := c.kubectl(args...)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// until runs kubectl until it prints what is wanted.
func (c *cluster) until(what, want string, args ...string) {
	c.t.Helper()
	c.Await(what, func() (bool, string) {
		out, err := c.kubectl(args...)
		return err == nil && out == want, fmt.Sprintf("kubectl %s: %q, %v", strings.Join(args, " "), out, err)
	})
}

// pod starts a pod on a node and waits until it runs. It gives the pod's address.
func (c *cluster) pod(w *worker, name string) (address string) {
	c.t.Helper()
	spec := map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name, "labels": map[string]string{"app": name}},
		"spec": map[string]any{
			"nodeSelector":                  map[string]string{"kubernetes.io/hostname": w.Name},
			"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": false,
			"containers": []any{map[string]any{"name": "web", "image": webImage, "imagePullPolicy": "Never"}},
		},
	}
	if _, err := c.Do(http.MethodPost, "/api/v1/namespaces/default/pods", spec); err != nil {
		c.t.Fatal(err)
	}
	c.Await("the pod "+name, func() (bool, string) {
		out, err := c.kubectl("get", "pod", name, "-o", "jsonpath={.status.phase} {.status.podIP}")
		phase, ip, _ := strings.Cut(out, " ")
		address = ip
		if phase == "Running" && ip != "" {
			return true, ""
		}
		events, _ := c.kubectl("describe", "pod", name)
		return false, fmt.Sprint(out, err, "\n", events)
	})
	return address
}

// ask has the pod at an address ask a URL, and gives the answer and how long it took.
func (c *cluster) ask(w *worker, pod, url string) (answer string, took time.Duration, err error) {
	body, err := w.get("http://" + pod + ":8080/ask?" + url)
	if err != nil {
		return "", 0, err
	}
	seconds, answer, _ := strings.Cut(body, " ")
	took, err = time.ParseDuration(seconds + "s")
	return answer, took, err
}

// get asks a URL from the node.
func (w *worker) get(url string) (string, error) {
	client := &http.Client{Timeout: 70 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(_ context.Context, network, addr string) (conn net.Conn, err error) {
			err = w.Do(func() error {
				conn, err = net.DialTimeout(network, addr, 10*time.Second)
				return err
			})
			return conn, err
		},
	}}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err == nil && r.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, r.Status, body)
	}
	return string(body), err
}

// decode reads what kubectl prints as JSON.
func decode[T any](c *cluster, args ...string) (v T) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.must(append(args, "-o", "json")...)), &v); err != nil {
		c.t.Fatal(err)
	}
	return v
}
