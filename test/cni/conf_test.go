package cni

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/libcni"

	"github.com/netmend/netmend/test/e2e/lab"
)

// TestExamples runs netmend with its part of each example in conf/, behind a main plugin that is here: that of the example, or one whose result looks the same.
func TestExamples(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob(filepath.Join(lab.Source(), "conf", "*.conflist"))
	if err != nil || len(paths) < 4 {
		t.Fatalf("%d examples: %v", len(paths), err)
	}
	for i, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			if _, err := libcni.NetworkConfFromFile(path); err != nil {
				t.Errorf("the library does not read it: %v", err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var list struct {
				CNIVersion string
				Name       string
				Plugins    []map[string]any
			}
			if err := json.Unmarshal(data, &list); err != nil {
				t.Fatal(err)
			}
			n := newNode(t)
			n.Sh("ip link add eth0 type veth peer name lan0; ip link set eth0 up; ip link set lan0 up; sysctl -qw net.ipv4.ip_forward=1")
			pod := lab.NewNS(t, "pod")
			first, last := list.Plugins[0], list.Plugins[len(list.Plugins)-1]
			main, _ := first["type"].(string)
			if main == "calico" || main == "flannel" {
				main = map[string]string{"calico": "ptp", "flannel": "bridge"}[main]
				first = map[string]any{"isGateway": true, "ipam": map[string]any{"type": "host-local", "subnet": fmt.Sprintf("10.24%d.0.0/24", i), "routes": []map[string]any{{"dst": "0.0.0.0/0"}}}}
			} else {
				n.Write("etc/cni/net.d/"+filepath.Base(path), "%s", data)
			}
			for _, conf := range []map[string]any{first, last} {
				conf["cniVersion"], conf["name"] = list.CNIVersion, list.Name
			}
			if last["logFile"] != nil {
				n.Write("var/log/x", "") // the directory
			}
			last["prevResult"] = json.RawMessage(n.must(n.run(call{plugin: main, command: "ADD", pod: pod}, first)).out)
			if o := n.must(n.run(call{plugin: "netmend", command: "ADD", pod: pod}, last)); len(o.err) > 0 {
				t.Errorf("a healthy pod gives a warning: %s", o.err)
			}
			if last["logFile"] == nil {
				return
			}
			log, err := os.ReadFile(filepath.Join(n.Root, "var/log/netmend-cni.log"))
			if err != nil || strings.Count(string(log), "\n") != 1 || !json.Valid(log) {
				t.Errorf("the log has not one JSON line: %q %v", log, err)
			}
		})
	}
}
