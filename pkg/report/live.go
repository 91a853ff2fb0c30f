package report

import (
	_ "embed" // the script that renews the page
	"html/template"
	"io"
)

//go:embed live.js
var liveScript string

// Live is what makes the HTML page one that renews itself. It asks the server every five seconds whether its tag is still the newest, while somebody looks at
// it. It is loaded again when the tag is another, but not under the eyes of somebody who searches, has text selected or reads about a check: then it offers it.
type Live struct {
	Lines []string // about who serves the page; for its head
	Tag   string   // names what the page shows
	Ask   string   // path of the same server that answers {"tag":"...","at":"12:30:05 UTC"}
}

// liveBar is Live as the template takes it.
type liveBar struct {
	Live
	Script template.JS
}

// WriteLive writes the HTML page as one that renews itself.
func WriteLive(w io.Writer, d *Document, l Live) error { return writePage(w, d, &l) }
