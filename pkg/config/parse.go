package config

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/audit"
)

// MaxSize is how many bytes a configuration may have.
const MaxSize = 256 << 10

// maxExpanded bounds what aliases may make of it.
const maxExpanded = 4 << 20

// Parse reads a configuration. The suite has the names of the checks. An unknown key, a key that is there twice and a wrong value are errors of one line that
// name the key.
func Parse(data []byte, suite *audit.Suite) (*Config, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("configuration has more than %d KiB", MaxSize>>10)
	}
	if err := oneDocument(data); err != nil {
		return nil, err
	}
	doc, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("decode configuration: %w", oneLine(err))
	}
	if len(doc) > maxExpanded {
		return nil, fmt.Errorf("decode configuration: its aliases make more than %d MiB of it", maxExpanded>>20)
	}
	if bytes.Equal(bytes.TrimSpace(doc), []byte("null")) {
		return nil, fmt.Errorf("configuration is empty: it needs at least apiVersion: %s and kind: %s", APIVersion, Kind)
	}
	p := parser{suite: suite, config: Default()}
	if err := p.document(doc); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return p.config, nil
}

// marker starts or ends a document; within one it can only stand at the start of a line.
var marker = regexp.MustCompile(`^(---|\.\.\.)(\s|$)`)

// oneDocument refuses a second document, which the decoder would pass over in silence.
func oneDocument(data []byte) error {
	content, ended := false, false
	for line := range bytes.Lines(data) {
		text := bytes.TrimSpace(line)
		switch {
		case len(text) == 0 || text[0] == '#':
		case marker.Match(line):
			ended = content
			if ended && text[0] == '-' {
				return errors.New("decode configuration: more than one YAML document")
			}
		case ended:
			return errors.New("decode configuration: more than one YAML document")
		default:
			content = true
		}
	}
	return nil
}

// oneLine makes one line of an error of the decoder, which may have several.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	text = strings.TrimPrefix(strings.TrimPrefix(text, "yaml: "), "unmarshal errors: ")
	return errors.New(strings.ToValidUTF8(text, "?"))
}
