package config_test

import (
	"os"
	"strings"
	"testing"
)

// TestDocs holds that the page and the example have every key.
func TestDocs(t *testing.T) {
	for path, form := range map[string]string{"../../docs/daemon.md": "`KEY`", "../../conf/netmend.yaml": "KEY:"} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{
			"mode", "checks.NAME.severity", "checks.NAME.settle", "checks.NAME.fix", "checks.NAME.ignore", "http.listen", "http.hosts", "socket", "chain.keep", "chain.entry",
			"intervals.fullAudit", "intervals.counterWindow", "log.level", "log.format", "podCIDRs", "nodePodCIDRs", "services",
			"kubernetes.access", "kubernetes.node", "kubernetes.services", "kubernetes.report", "kubernetes.condition", "kubernetes.events", "kubernetes.startupTaint",
		} {
			if strings.HasSuffix(path, ".yaml") {
				key = key[strings.LastIndexByte(key, '.')+1:]
			}
			if !strings.Contains(string(data), strings.Replace(form, "KEY", key, 1)) {
				t.Errorf("%s does not tell %s", path, key)
			}
		}
	}
}
