package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
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

func writeJSON(w io.Writer, d *Document, _ Style) error { return encode(w, d) }

// encode writes a value as indented JSON.
func encode(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	_, err = io.WriteString(w, escape(data, unicode.MaxRune)+"\n")
	return err
}

// escape writes as \u what is not printable in a JSON document, up to a last character. JSON demands it of C0 control characters alone; some terminals
// obey the C1 ones too, and YAML forbids them.
func escape(document []byte, last rune) string {
	var b strings.Builder
	for _, r := range string(document) {
		if r == '\n' || unicode.IsPrint(r) || r > last {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

func writeYAML(w io.Writer, d *Document, _ Style) error {
	data, err := toYAML(d)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
