package report

import (
	"crypto/sha256"
	_ "embed" // the page's template, style and script
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/netmend/netmend/pkg/check"
)

var (
	//go:embed html.tmpl
	htmlTemplate string
	//go:embed html.css
	htmlStyle string
	//go:embed html.js
	htmlScript string
)

// htmlPage is what html.tmpl writes.
type htmlPage struct {
	*Document
	Policy  string // content security policy: nothing but the page's own style and script
	Style   template.CSS
	Script  template.JS
	About   []string
	Moment  []string
	Picture *picture
	Groups  []htmlGroup
	Skips   []skipSection
	Text    string
	Rest    string
	Version string
	Live    *liveBar // nil: the page stays as it is
}

type htmlGroup struct {
	Severity check.Severity
	Findings []htmlFinding
}

type htmlFinding struct {
	*Finding
	Place int // in the document: its anchor
	Title string
	Doc   []markup
}

func writeHTML(w io.Writer, d *Document, _ Style) error { return writePage(w, d, nil) }

func writePage(w io.Writer, d *Document, live *Live) error {
	t, err := template.New("report").Funcs(template.FuncMap{"clean": Printable, "wires": func(d string) template.HTMLAttr {
		return template.HTMLAttr(`d="` + d + `"`) // a path made of numbers alone
	}}).Parse(htmlTemplate)
	if err != nil {
		return fmt.Errorf("parse template: %w", err)
	}
	p := htmlPage{
		Document: d, Style: template.CSS(htmlStyle), Script: template.JS(htmlScript), Picture: draw(d),
		Policy: fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", digest(htmlStyle), digest(htmlScript)),
		About:  nodeParts(d.Node), Moment: momentParts(d), Text: summaryText(d.Summary), Rest: summaryRest(d.Summary), Skips: skipSections(d), Version: d.version,
	}
	if live != nil {
		p.Live = &liveBar{*live, template.JS(liveScript)}
		p.Policy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s' '%s'; connect-src 'self'; base-uri 'none'; form-action 'none'",
			digest(htmlStyle), digest(htmlScript), digest(liveScript))
	}
	for _, s := range []check.Severity{check.Critical, check.Warning, check.Info} {
		if g := htmlFindings(d, s); len(g.Findings) > 0 {
			p.Groups = append(p.Groups, g)
		}
	}
	return t.Execute(w, p)
}

// digest is the source expression of CSP that allows exactly this inline text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func htmlFindings(d *Document, s check.Severity) htmlGroup {
	g := htmlGroup{Severity: s}
	for i := range d.Findings {
		f := &d.Findings[i]
		if f.Severity != s {
			continue
		}
		h := htmlFinding{Finding: f, Place: i}
		at := slices.IndexFunc(d.checks, func(c *check.Check) bool { return c.Name == f.Check })
		if at >= 0 {
			h.Title = d.checks[at].Title
		}
		if first := len(g.Findings) == 0 || g.Findings[len(g.Findings)-1].Check != f.Check; first && at >= 0 {
			h.Doc = parseMarkup(d.checks[at].Markdown()) // once for the findings of one check
		}
		g.Findings = append(g.Findings, h)
	}
	return g
}
