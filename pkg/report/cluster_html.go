package report

import (
	_ "embed" // the page's template, and what it has beside the page of a node
	"fmt"
	"html/template"
	"io"

	"github.com/netmend/netmend/pkg/check"
)

var (
	//go:embed cluster.tmpl
	clusterTemplate string
	//go:embed cluster.css
	clusterStyle string
	//go:embed cluster.js
	clusterScript string
)

// clusterPage is what cluster.tmpl writes.
type clusterPage struct {
	*Cluster
	Policy      string
	Style       template.CSS
	Scripts     []template.JS
	Counts      []clusterCount
	Groups      []htmlGroup
	Skips       []skipSection
	Text, Rest  string
	Moment      string
	Version     string
	NodesPlural string
}

// clusterCount is how many nodes have a state.
type clusterCount struct {
	State, Class string
	Count        int
}

func writeClusterHTML(w io.Writer, c *Cluster, _ Style) error {
	t, err := template.New("report").Funcs(template.FuncMap{
		"clean": Printable, "wires": func(string) template.HTMLAttr { return "" }, "state": stateClass, "page": Page,
		"age": func(n ClusterNode) string { return age(c.Taken, n.Created) },
	}).Parse(htmlTemplate) // for how a finding is written
	if err == nil {
		t, err = t.New("cluster").Parse(clusterTemplate)
	}
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	d := c.document()
	style := htmlStyle + clusterStyle
	p := clusterPage{
		Cluster: c, Style: template.CSS(style), Scripts: []template.JS{template.JS(htmlScript), template.JS(clusterScript)},
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s' '%s'; base-uri 'none'; form-action 'none'", digest(style), digest(htmlScript), digest(clusterScript)),
		Text:   summaryText(d.Summary), Rest: summaryRest(d.Summary), Skips: skipSections(d), Moment: c.Taken.UTC().Format("2006-01-02 15:04:05 UTC"), Version: c.version,
		NodesPlural: plural(len(c.Nodes), "node"),
	}
	seen := map[string]bool{}
	for _, n := range c.Nodes {
		if !seen[n.State] {
			seen[n.State] = true
			p.Counts = append(p.Counts, clusterCount{n.State, stateClass(n.State), c.Summary.States[n.State]})
		}
	}
	for _, s := range []check.Severity{check.Critical, check.Warning, check.Info} {
		if g := htmlFindings(d, s); len(g.Findings) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	return t.Execute(w, p)
}

// stateClass is the class of the style that a state has.
func stateClass(state string) string {
	switch state {
	case fineState:
		return "fine"
	case "faulty":
		return "critical"
	case "starting":
		return "info"
	}
	return "warning"
}
