package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/netmend/netmend/pkg/check"
)

// What the README and the page of the cluster view have around their tables.
const (
	begin = "<!-- checks -->\n"
	end   = "<!-- /checks -->"
)

var errMarkers = errors.New("no line " + begin[:len(begin)-1] + " with " + end + " behind it")

// row is one line of the table.
type row struct {
	check *check.Check
	kind  string
}

func table(rows []row) []byte {
	var b bytes.Buffer
	b.WriteString("| Check | Severity | What it finds | Fix |\n|-|-|-|-|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| [%s](%s/%s.md) | %s | %s | %s |\n", r.check.Name, pagesDir, r.check.Name, r.check.Severity, r.check.Title, r.kind)
	}
	return b.Bytes()
}

// insert puts the table between the markers.
func insert(readme, table []byte) ([]byte, error) {
	before, rest, ok := bytes.Cut(readme, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, errMarkers
	}
	return bytes.Join([][]byte{before, []byte(begin), table, []byte(end), after}, nil), nil
}
