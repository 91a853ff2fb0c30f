package cni

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// daemon answers every question with the same line and hands on what it is told.
func daemon(t *testing.T, socket, answer string) (told <-chan string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	news := make(chan string, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				if _, err := in.ReadString('\n'); err != nil {
					return
				}
				fmt.Fprintln(c, answer)
				if line, err := in.ReadString('\n'); err == nil {
					news <- line
				}
			}()
		}
	}()
	return news
}

// heard runs ADD until the daemon's answer came in time, which a busy machine may prevent.
func (n *node) heard(c call, conf map[string]any, told <-chan string) (o outcome, news string) {
	n.t.Helper()
	end := time.Now().Add(3 * time.Minute)
	for {
		o = n.run(c, conf)
		select {
		case news = <-told:
		case <-time.After(100 * time.Millisecond):
		}
		if strings.Contains(news, `"cached":["`) || time.Now().After(end) {
			return o, news
		}
	}
}

// TestDaemonIsBelieved has the daemon know of a fault that cannot be seen while a pod waits: it is told, or the pod is refused, and the daemon hears of it.
func TestDaemonIsBelieved(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	socket := filepath.Join(t.TempDir(), "s")
	netmend["socket"] = socket
	told := daemon(t, socket, `{"netmend":1,"age":29,"judged":["tunnel-tx-checksum","pod-mtu-mismatch"],"findings":[`+
		`{"check":"tunnel-tx-checksum","severity":"critical","on":{"netns":1,"index":2,"name":"flannel.1"},"message":"packets leave with bad checksums",`+
		`"evidence":[{"fact":"peer's counter","got":"12","want":"0"}],"fixes":[{"title":"switch the offload off","advice":["ethtool -K flannel.1 tx off"]}]},`+
		`{"check":"pod-mtu-mismatch","severity":"critical","on":{"netns":1,"index":3,"name":"eth0"},"message":"what was judged here is not the daemon's to say"},`+
		`{"check":"ip-forward","severity":"critical","on":{"netns":1,"index":3,"name":"cni0"},"message":"not among the judged"}]}`)
	add := call{plugin: "netmend", command: "ADD", pod: pod, args: "K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;K8S_POD_UID=5e8a-1"}
	o, news := n.heard(add, netmend, told)
	n.must(o)
	if !strings.Contains(string(o.err), `"check":"tunnel-tx-checksum"`) || !strings.Contains(string(o.err), `"cached":["tunnel-tx-checksum"]`) {
		t.Errorf("warn: standard error is %s", o.err)
	}
	for _, word := range []string{"not the daemon's to say", "not among the judged"} {
		if strings.Contains(string(o.err), word) {
			t.Errorf("it believes: %s", word)
		}
	}
	for _, word := range []string{`{"netmend":1,"tell":{`, `"verdict":"warn"`, `"pod":"default/web"`, `"podUID":"5e8a-1"`, `"command":"ADD"`, `"check":"tunnel-tx-checksum"`} {
		if !strings.Contains(news, word) {
			t.Errorf("the daemon is told %s; want %s in it", news, word)
		}
	}
	netmend["mode"] = "enforce"
	o, news = n.heard(add, netmend, told)
	if o.fail == nil || o.fail.Code != 103 || !strings.Contains(o.fail.Msg, "netmend: tunnel-tx-checksum: flannel.1: packets leave with bad checksums") {
		t.Fatalf("enforce: %s; want code 103", o.fail)
	}
	for _, word := range []string{"peer's counter is 12 (want 0)", "switch the offload off: ethtool -K flannel.1 tx off", "docs/checks/tunnel-tx-checksum.md"} {
		if !strings.Contains(o.fail.Details, word) {
			t.Errorf("the details are %s; want %s in them", o.fail.Details, word)
		}
	}
	if !strings.Contains(news, `"verdict":"refuse"`) || !strings.Contains(news, `"code":103`) {
		t.Errorf("the daemon is told %s", news)
	}
}

// TestDaemonKnowsServices has the daemon name the virtual IPs that pods need: the kernel's word on them counts.
func TestDaemonKnowsServices(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	socket := filepath.Join(t.TempDir(), "s")
	netmend["socket"], netmend["checks"] = socket, map[string]any{"service-rules-missing": "enforce"}
	told := daemon(t, socket, `{"netmend":1,"age":1,"judged":["tunnel-tx-checksum"],"services":[{"name":"shop/cart:http","vip":"10.96.7.7","port":80,"protocol":"tcp"}]}`)
	o, _ := n.heard(call{plugin: "netmend", command: "ADD", pod: pod}, netmend, told)
	if o.fail == nil || o.fail.Code != 104 || !strings.Contains(o.fail.Msg, "shop/cart") {
		t.Errorf("%s; want code 104 for shop/cart", o.fail)
	}
}

// TestDaemonLies has answers of a daemon that is wrong in what it says, though not in how: a healthy pod passes in silence.
func TestDaemonLies(t *testing.T) {
	t.Parallel()
	n := kubernetesNode(t)
	pod, netmend := n.added(t)
	netmend["mode"], netmend["failurePolicy"] = "enforce", "Fail"
	finding := func(keys string) string {
		return `{"netmend":1,"age":1,"judged":["tunnel-tx-checksum","hairpin","no-such-check"],"findings":[{` + keys + `}]}`
	}
	for name, answer := range map[string]string{
		"a check that does not exist":   finding(`"check":"no-such-check","severity":"critical","on":{"name":"x"},"message":"m"`),
		"a check that was made here":    finding(`"check":"hairpin","severity":"warning","on":{"name":"x"},"message":"m"`),
		"a check that was not judged":   finding(`"check":"vtep-identity","severity":"critical","on":{"name":"x"},"message":"m"`),
		"no message":                    finding(`"check":"tunnel-tx-checksum","severity":"critical","on":{"name":"x"}`),
		"a severity that is none":       finding(`"check":"tunnel-tx-checksum","severity":"catastrophic","on":{"name":"x"},"message":"m"`),
		"a wrong version":               `{"netmend":2,"age":1,"judged":["tunnel-tx-checksum"],"findings":[{"check":"tunnel-tx-checksum","severity":"critical","message":"m"}]}`,
		"too old":                       `{"netmend":1,"age":31,"judged":["tunnel-tx-checksum"],"findings":[{"check":"tunnel-tx-checksum","severity":"critical","message":"m"}]}`,
		"services without an address":   `{"netmend":1,"age":1,"judged":[],"services":[{"port":1,"protocol":"tcp"},{}]}`,
		"services of an odd protocol":   `{"netmend":1,"age":1,"judged":[],"services":[{"name":"a/b:c","vip":"10.96.0.1","port":1,"protocol":"x"}]}`,
		"ten thousand services":         `{"netmend":1,"age":1,"services":[` + strings.Repeat(`{},`, 10000) + `{}]}`,
		"text that is no object at all": `lies`,
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "s")
			daemon(t, socket, answer)
			netmend["socket"] = socket
			for range 3 { // some of which hear it
				if o := n.must(n.run(call{plugin: "netmend", command: "ADD", pod: pod}, netmend)); len(o.err) > 0 {
					t.Errorf("a healthy pod gives a warning: %s", o.err)
				}
			}
		})
	}
}
