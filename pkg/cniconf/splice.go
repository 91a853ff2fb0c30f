package cniconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// span is a range of bytes.
type span struct{ from, to int }

func (s span) of(data []byte) []byte { return data[s.from:s.to] }

// pluginSpans finds the plugins in the bytes of a list that libcni has decoded. Of two keys "plugins" the last counts, as in encoding/json.
func pluginSpans(data []byte) ([]span, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("find plugins: not a JSON object")
	}
	var plugins []span
	found := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("find plugins: %w", err)
		}
		value, err := next(dec)
		if err != nil {
			return nil, fmt.Errorf("find plugins: %w", err)
		}
		if key != "plugins" {
			continue
		}
		if plugins, err = elements(value.of(data), value.from); err != nil {
			return nil, fmt.Errorf("find plugins: %w", err)
		}
		found = true
	}
	if !found {
		return nil, errors.New("find plugins: there are none in the file itself")
	}
	return plugins, nil
}

// next reads one value and says where it is.
func next(dec *json.Decoder) (span, error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return span{}, err
	}
	to := int(dec.InputOffset())
	return span{to - len(raw), to}, nil
}

// elements finds those of an array that begins at an offset; none in what is no array.
func elements(array []byte, at int) ([]span, error) {
	if len(array) == 0 || array[0] != '[' {
		return nil, nil
	}
	dec := json.NewDecoder(bytes.NewReader(array))
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	var all []span
	for dec.More() {
		s, err := next(dec)
		if err != nil {
			return nil, err
		}
		all = append(all, span{s.from + at, s.to + at})
	}
	return all, nil
}

// appendPlugin puts an entry behind the last plugin, formatted as that is. Every other byte stays.
func appendPlugin(data []byte, plugins []span, entry json.RawMessage) ([]byte, error) {
	last := plugins[len(plugins)-1]
	from := last.from
	for from > 0 && isSpace(data[from-1]) {
		from--
	}
	gap := string(data[from:last.from]) // between the bracket or comma and the plugin
	text, err := like(entry, string(last.of(data)), gap)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{data[:last.to], []byte("," + gap + text), data[last.to:]}, nil), nil
}

// cutPlugin is the inverse of appendPlugin for the last plugin, and takes out any other. The only one cannot be taken out: libcni reads no empty list.
func cutPlugin(data []byte, plugins []span, i int) []byte {
	cut := plugins[i]
	if i > 0 {
		cut.from = plugins[i-1].to
	} else {
		cut.to = plugins[1].from
	}
	return bytes.Join([][]byte{data[:cut.from], data[cut.to:]}, nil)
}

// like formats an entry as the plugin in front of it. A line break is never part of a JSON string, so lines can be moved freely.
func like(entry json.RawMessage, sample, gap string) (string, error) {
	var b bytes.Buffer
	lines := strings.Split(sample, "\n")
	if len(lines) == 1 {
		if !strings.Contains(sample, `": `) {
			err := json.Compact(&b, entry)
			return b.String(), err
		}
		err := json.Indent(&b, entry, "", "")
		return strings.ReplaceAll(strings.ReplaceAll(b.String(), ",\n", ", "), "\n", ""), err
	}
	base := indentOf(lines[len(lines)-1])
	if i := strings.LastIndexByte(gap, '\n'); i >= 0 {
		base = gap[i+1:]
	}
	unit, ok := strings.CutPrefix(indentOf(lines[1]), base)
	if !ok || unit == "" {
		unit = "  "
	}
	err := json.Indent(&b, entry, base, unit)
	return strings.ReplaceAll(b.String(), "\n", lineBreak(sample)), err
}

// wrap makes a list of a file that holds one plugin: the document that libcni's ConfListFromConf makes, in the file's own formatting.
func wrap(data []byte, name, version string) ([]byte, error) {
	n, err := json.Marshal(name)
	if err != nil {
		return nil, err
	}
	v, err := json.Marshal(version)
	if err != nil {
		return nil, err
	}
	plugin := strings.TrimFunc(string(data), func(r rune) bool { return r < 128 && isSpace(byte(r)) })
	lines := strings.Split(plugin, "\n")
	if len(lines) == 1 {
		return fmt.Appendf(nil, `{"name": %s, "cniVersion": %s, "plugins": [%s]}`+"\n", n, v, plugin), nil
	}
	unit, end := indentOf(lines[1]), lineBreak(plugin)
	if unit == "" {
		unit = "  "
	}
	for i := range lines[1:] {
		lines[i+1] = unit + unit + lines[i+1]
	}
	return []byte(strings.Join([]string{
		"{",
		unit + `"name": ` + string(n) + ",",
		unit + `"cniVersion": ` + string(v) + ",",
		unit + `"plugins": [`,
		unit + unit + strings.Join(lines, "\n"),
		unit + "]",
		"}", "",
	}, end)), nil
}

func indentOf(line string) string { return line[:len(line)-len(strings.TrimLeft(line, " \t"))] }

func lineBreak(text string) string {
	if strings.Contains(text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
