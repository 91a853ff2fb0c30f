package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
)

func TestParseConfigRefuses(t *testing.T) {
	for _, tt := range []struct{ name, conf, key string }{
		{"unknown key", `{"moed":"warn"}`, "moed"},
		{"mode", `{"mode":"strict"}`, "mode"},
		{"case of the key", `{"Mode":"warn"}`, "Mode"},
		{"mode of a wrong type", `{"mode":5}`, "mode"},
		{"unknown check", `{"checks":{"no-such":"warn"}}`, "checks"},
		{"a check that is not made at ADD", `{"checks":{"tcp-tw-recycle":"warn"}}`, "checks"},
		{"mode of a check", `{"checks":{"ip-forward":"on"}}`, "checks"},
		{"failurePolicy", `{"failurePolicy":"ignore"}`, "failurePolicy"},
		{"timeout without unit", `{"timeout":15}`, "timeout"},
		{"timeout of zero", `{"timeout":"0s"}`, "timeout"},
		{"timeout too long", `{"timeout":"1h"}`, "timeout"},
		{"exemptNamespaces", `{"exemptNamespaces":"kube-system"}`, "exemptNamespaces"},
		{"service without port", `{"services":[{"vip":"10.96.0.1","protocol":"tcp"}]}`, "services"},
		{"service with a wrong port", `{"services":[{"vip":"10.96.0.1","port":70000,"protocol":"tcp"}]}`, "services"},
		{"service with an unknown key", `{"services":[{"vip":"10.96.0.1","port":1,"protocol":"tcp","ip":"x"}]}`, "services"},
		{"gate of a pod's check", `{"gate":["pod-mtu-mismatch"]}`, "gate"},
		{"fix of what cannot be mended here", `{"fix":["ip-forward"]}`, "fix"},
		{"detectConflict", `{"detectConflict":"yes"}`, "detectConflict"},
		{"socket", `{"socket":"run/x"}`, "socket"},
		{"logLevel", `{"logLevel":"trace"}`, "logLevel"},
		{"logFile", `{"logFile":null}`, "logFile"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseConfig([]byte(tt.conf))
			var e *types.Error
			if !errors.As(err, &e) || e.Code != types.ErrInvalidNetworkConfig || !strings.Contains(e.Msg, `"`+tt.key+`"`) {
				t.Errorf("ParseConfig(%s) = %v; want code 7 that names %q", tt.conf, err, tt.key)
			}
		})
	}
}

func TestParseConfigDefaults(t *testing.T) {
	c, err := ParseConfig([]byte(`{"cniVersion":"1.1.0","name":"x","type":"netmend","runtimeConfig":{},"cni.dev/valid-attachments":[],"checks":{"ip-forward":"enforce"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Mode != ModeWarn || c.Timeout != defaultTimeout || c.FailurePolicy != Ignore || c.modeOf("ip-forward") != ModeEnforce || c.modeOf("hairpin") != ModeWarn || c.Prev != nil {
		t.Errorf("ParseConfig = %+v", c)
	}
}

// TestCodesAreDocumented holds the page to the table, and the table to codes of its own.
func TestCodesAreDocumented(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "docs", "cni.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint]bool{codeUnjudged: true}
	for _, a := range addChecks() {
		if seen[a.code] || a.code <= codeUnjudged {
			t.Errorf("code %d of %s is taken", a.code, a.check.Name)
		}
		seen[a.code] = true
		if row := fmt.Sprintf("| %d | [%[2]s](checks/%[2]s.md) |", a.code, a.check.Name); !strings.Contains(string(page), row) {
			t.Errorf("docs/cni.md does not have the line %s", row)
		}
	}
	var c Config
	for key := range c.readers() {
		if key != "cniVersion" && key != "name" && key != "prevResult" && !strings.Contains(string(page), "| `"+key+"` |") {
			t.Errorf("docs/cni.md does not tell the key %s", key)
		}
	}
}

func TestHandOnKeepsEverything(t *testing.T) {
	prev := `{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","mac":"02:00:00:00:00:01","mtu":1450,"socketPath":"/run/x","pciID":"0000:01","sandbox":"/run/netns/x"}],"ips":[{"address":"10.0.0.2/24","interface":0}],"routes":[{"dst":"0.0.0.0/0","gw":"10.0.0.1","mtu":1400,"advmss":1360,"priority":10,"table":100,"scope":0}],"dns":{"nameservers":["10.96.0.10"],"options":["ndots:5"]},"x":12345678901234567890}`
	c, err := ParseConfig([]byte(`{"cniVersion":"1.1.0","name":"x","type":"netmend","prevResult":` + prev + `}`))
	if err != nil {
		t.Fatal(err)
	}
	out, err := handOn(c)
	if err != nil || string(out) != prev {
		t.Errorf("handOn = %s, %v; want it unchanged", out, err)
	}
	patched, err := patchMTU(out, map[string]int{"eth0": 1400})
	if want := `"mtu":1400,"name":"eth0","pciID":"0000:01"`; err != nil || !strings.Contains(string(patched), want) || !strings.Contains(string(patched), "12345678901234567890") {
		t.Errorf("patchMTU = %s, %v", patched, err)
	}
}

// FuzzConfig gives whatever stands on standard input, with arguments: no panic, and what is read of a result stays bounded.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"cniVersion":"1.0.0","name":"x","mode":"warn","prevResult":{"cniVersion":"0.3.1","ips":[{"interface":9,"address":"10.0.0.2/24"}]}}`), "K8S_POD_NAMESPACE=a;K8S_POD_NAME=b")
	f.Add([]byte(`{"prevResult":{"interfaces":[null,5],"routes":[{"dst":"x"}]},"services":[{"vip":"::1","port":1,"protocol":"udp"}]}`), ";;=")
	f.Fuzz(func(t *testing.T, data []byte, args string) {
		c, err := ParseConfig(data)
		if err != nil || c.Prev == nil {
			return
		}
		if _, err := handOn(c); err != nil {
			return
		}
		r := readResult(c.prev, "eth0")
		if len(r.Links) > maxItems+1 || len(r.Addresses) > maxItems || len(r.Routes) > maxItems {
			t.Errorf("%d links, %d addresses, %d routes", len(r.Links), len(r.Addresses), len(r.Routes))
		}
	})
}
