package prometheus

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	rulesFile     = "netmend-rules.yaml"
	dashboardFile = "../grafana/netmend.json"
)

// promtool runs it. It comes with Debian's package prometheus.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if os.Getuid() != 0 && os.Getenv("CI") == "" {
			t.Skip("promtool is not here, and only root can install it")
		}
		t.Fatal(err)
	}
	c := exec.Command("promtool", args...)
	c.Stdin = strings.NewReader(stdin)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

type rule struct{ Alert, Expr string }

func rules(t *testing.T) (out []rule) {
	t.Helper()
	text, err := os.ReadFile(rulesFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Groups []struct{ Rules []rule } }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

type panel struct {
	Title   string
	Targets []struct{ Expr string }
}

// panels of the dashboard, with its variables as Grafana puts them in when all is chosen.
func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d struct{ Panels []panel }
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for i := range p.Targets {
			p.Targets[i].Expr = strings.NewReplacer("$job", ".*", "$node", ".*", "$__rate_interval", "5m").Replace(p.Targets[i].Expr)
		}
	}
	return d.Panels
}

// TestRules lets promtool judge the alerts, and play when they come and go. Each has a case in which it comes and one in which it does not.
func TestRules(t *testing.T) {
	promtool(t, "", "check", "rules", "--lint-fatal", rulesFile)
	promtool(t, "", "test", "rules", "netmend-rules.test.yaml")
	text, err := os.ReadFile("netmend-rules.test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules(t) {
		comes := regexp.MustCompile(`alertname: ` + r.Alert + "\n").Match(text)
		stays := regexp.MustCompile(`alertname: ` + r.Alert + `, .*exp_alerts: \[\]`).Match(text)
		if !comes || !stays {
			t.Errorf("%s: played when it comes %v, when it does not %v", r.Alert, comes, stays)
		}
	}
}

var use = regexp.MustCompile(`\b((?:netmend|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)

// TestNames compares every metric, label and label's value in alerts and dashboard with what the daemon serves.
func TestNames(t *testing.T) {
	text := scrape(t)
	promtool(t, text, "check", "metrics")
	served := metrics(t, text)
	judge := func(where, expr string) {
		found := use.FindAllStringSubmatch(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s: no metric in %s", where, expr)
		}
		for _, m := range found {
			labels := served[m[1]]
			if labels == nil {
				t.Errorf("%s: the daemon serves no %s", where, m[1])
				continue
			}
			for _, p := range labelPair.FindAllStringSubmatch(m[2], -1) {
				values, known := labels[p[1]]
				if !known || p[2] == "=" && values != nil && !values[p[3]] {
					t.Errorf("%s: %s has no %s=%q", where, m[1], p[1], p[3])
				}
			}
			for _, by := range regexp.MustCompile(`\b(?:by|without) \(([a-z, ]+)\) \((?:[a-z]+\()?`+m[1]).FindAllStringSubmatch(expr, -1) {
				for label := range strings.SplitSeq(by[1], ", ") {
					if _, known := labels[label]; !known {
						t.Errorf("%s: %s has no label %s", where, m[1], label)
					}
				}
			}
		}
	}
	for _, r := range rules(t) {
		judge(r.Alert, r.Expr)
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			judge(p.Title, target.Expr)
		}
	}
}

// TestPanels evaluates each panel's query by Prometheus on the metrics of a node: it must show something.
func TestPanels(t *testing.T) {
	type series struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	type sample struct {
		Value int `json:"value"`
	}
	type query struct {
		Expr    string   `json:"expr"`
		Time    string   `json:"eval_time"`
		Samples []sample `json:"exp_samples"`
	}
	var input []series
	var queries []query
	for line := range strings.Lines(scrape(t)) {
		m := sampleLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.HasPrefix(line, "#") || !slices.ContainsFunc([]string{"netmend_", "process_"}, func(p string) bool { return strings.HasPrefix(line, p) }) {
			continue
		}
		labels := `instance="n1",job="netmend"`
		if m[2] != "" {
			labels += "," + m[2]
		}
		input = append(input, series{fmt.Sprintf("%s{%s}", m[1], labels), m[3] + "x1500"})
	}
	for _, p := range panels(t) {
		for _, target := range p.Targets {
			queries = append(queries, query{fmt.Sprintf("count(%s) > bool 0", target.Expr), "1490m", []sample{{1}}})
		}
	}
	if len(queries) < 15 || len(input) < 50 {
		t.Fatalf("%d queries on %d series", len(queries), len(input))
	}
	text, err := json.Marshal(map[string]any{"evaluation_interval": "1m", "tests": []any{map[string]any{"interval": "1m", "input_series": input, "promql_expr_test": queries}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "test", "rules", file)
}
