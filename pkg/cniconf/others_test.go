package cniconf

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOthersWrite holds what somebody else wrote after netmend.
func TestOthersWrite(t *testing.T) {
	n := newNode(t, "10-flannel.conflist")
	n.install()
	path := filepath.Join(n.conf, "10-flannel.conflist")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n.write("10-flannel.conflist", strings.Replace(string(data), `"cbr0"`, `"cbr1"`, 1))
	n.write("20-late.conflist", `{"name":"x","plugins":[{"type":"x"},{"type":"netmend"}]}`)
	n.uninstall()
	n.before["10-flannel.conflist"] = strings.Replace(n.before["10-flannel.conflist"], `"cbr0"`, `"cbr1"`, 1)
	n.before["20-late.conflist"] = `-rw-r----- {"name":"x","plugins":[{"type":"x"}]}`
	n.restored("edited by another")
}

// TestOthersWriteASingleFile holds that a file which an installer wrote anew is used, and not the saved one.
func TestOthersWriteASingleFile(t *testing.T) {
	n := newNode(t, "10-bridge.conf")
	n.install()
	n.write("10-bridge.conf", `{"name":"new","cniVersion":"1.0.0","type":"ptp"}`)
	if file, _ := n.runtime(); file != "10-bridge.conf" {
		t.Fatalf("the runtime reads %s; want the newer 10-bridge.conf", file)
	}
	n.install()
	if _, chain := n.runtime(); !slices.Equal(chain, []string{"ptp", "netmend"}) {
		t.Errorf("the chain is %v; want the new one", chain)
	}
	n.uninstall()
	n.before = map[string]string{"10-bridge.conf": `-rw-r----- {"name":"new","cniVersion":"1.0.0","type":"ptp"}`}
	n.restored("written anew")

	n = newNode(t, "10-bridge.conf")
	n.install()
	n.write("10-bridge.conf", `{"name":"new","type":"ptp"}`)
	n.uninstall()
	n.before = map[string]string{"10-bridge.conf": `-rw-r----- {"name":"new","type":"ptp"}`}
	n.restored("written anew and not answered")

	n = newNode(t, "10-bridge.conf")
	n.install()
	n.write("10-bridge.conflist", strings.Replace(n.files()["10-bridge.conflist"][len("-rw-r----- "):], "cnio0", "cnio1", 1))
	o := n.uninstall()
	if _, chain := n.runtime(); !slices.Equal(chain, []string{"bridge"}) || len(o.Warnings) != 1 || exists(n.binary()) {
		t.Errorf("after an edit of the list: chain %v, warnings %q", chain, o.Warnings)
	}
}

// TestWrittenMeanwhile holds that a file which somebody writes between the plan and its execution is not lost.
func TestWrittenMeanwhile(t *testing.T) {
	for _, at := range []string{"recorded 10-flannel.conflist", "synced .10-flannel.conflist.netmend-new"} {
		t.Run(at, func(t *testing.T) {
			n := newNode(t, "10-flannel.conflist")
			k := n.keeper()
			once := false
			k.step = func(s string) {
				if s == at && !once {
					once = true
					n.write("10-flannel.conflist", `{"name":"new","plugins":[{"type":"x"}]}`)
				}
			}
			if _, err := k.Install(context.Background()); err != nil {
				t.Fatal(err)
			}
			if _, chain := n.runtime(); !once || !slices.Equal(chain, []string{"x", "netmend"}) {
				t.Errorf("the chain is %v; want the one written meanwhile with netmend behind it", chain)
			}
			n.uninstall()
			n.before = map[string]string{"10-flannel.conflist": `-rw-r----- {"name":"new","plugins":[{"type":"x"}]}`}
			n.restored("uninstalled")
		})
	}
}
