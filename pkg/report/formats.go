package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// Style is how the formats for a terminal are laid out. The zero value is plain text of any width.
type Style struct {
	Colour bool
	Width  int // columns at which messages are wrapped; 0: they are not
}

// Format is one way to write a document.
type Format struct {
	Name  string
	About string
	Write func(io.Writer, *Document, Style) error
}

// Formats lists every format, the default one first.
func Formats() []Format {
	return []Format{
		{"text", "for people", writeText},
		{"wide", "a line for each finding", writeWide},
		{"json", "for programs: fields are added, never changed", writeJSON},
		{"yaml", "the same as YAML", writeYAML},
		{"sarif", "SARIF 2.1.0, for code scanners", writeSARIF},
		{"markdown", "for an issue or a chat", writeMarkdown},
		{"html", "one self-contained page with a picture of the node", writeHTML},
		{"npd", "one line of at most 80 bytes, for node-problem-detector", writeNPD},
	}
}

// Names lists the names of the formats.
func Names() []string {
	var names []string
	for _, f := range Formats() {
		names = append(names, f.Name)
	}
	return names
}

// ParseFormat finds a format by its name.
func ParseFormat(name string) (Format, error) {
	for _, f := range Formats() {
		if f.Name == name {
			return f, nil
		}
	}
	return Format{}, fmt.Errorf("unknown format %q: one of %s", name, strings.Join(Names(), ", "))
}

func writeJSON(w io.Writer, d *Document, _ Style) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

func writeYAML(w io.Writer, d *Document, _ Style) error {
	data, err := yaml.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = w.Write(data)
	return err
}
