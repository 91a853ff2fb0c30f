package kube

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// yamlReader reads documents of YAML piece by piece: a list as kubectl writes it item by item, because a YAML library needs twenty times a document's size in
// memory. An item begins with a dash in the column of the first one, and nothing within an item stands in that column or left of it.
type yamlReader struct {
	objects *Objects
	part    yamlPart
	column  int // of the items' dashes; -1 before the first
	text    bytes.Buffer
}

// yamlPart says where in a document a line is.
type yamlPart int

const (
	yamlWhole  yamlPart = iota // no items seen: a document is one piece
	yamlItems                  // within the items
	yamlBehind                 // behind them, where kubectl writes "kind: List"
)

func (y *yamlReader) read(b *bufio.Reader) error {
	y.column = -1
	for number := 1; ; number++ {
		line, err := readLine(b)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("line %d: %w", number, err)
		}
		if bad := y.line(line); bad != nil {
			return fmt.Errorf("before line %d: %w", number, bad)
		}
		if err != nil {
			return y.flush()
		}
	}
}

// readLine reads a line with its end, unless it is longer than an object can be.
func readLine(b *bufio.Reader) (string, error) {
	var line []byte
	for {
		piece, err := b.ReadSlice('\n')
		line = append(line, piece...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return string(line), err
		}
		if len(line) > maxObject {
			return "", ErrTooLarge
		}
	}
}

func (y *yamlReader) line(line string) error {
	content := strings.TrimSpace(line)
	body := strings.TrimLeft(line, " ")
	indent := len(line) - len(body)
	switch {
	case indent == 0 && (content == "---" || content == "..." || strings.HasPrefix(line, "--- ")):
		err := y.flush()
		y.part, y.column = yamlWhole, -1
		return err
	case y.part == yamlWhole && indent == 0 && content == "items:":
		y.text.Reset() // what stands beside the items does not matter
		y.part = yamlItems
		return nil
	case y.part == yamlBehind || y.part == yamlItems && y.column < 0 && (content == "" || content[0] == '#'):
		return nil
	case y.part == yamlItems && (content == "-" || strings.HasPrefix(content, "- ")) && (indent == y.column || y.column < 0):
		err := y.flush()
		y.column = indent
		y.text.WriteString(strings.Repeat(" ", indent+1) + body[1:])
		return err
	case y.part == yamlItems && content != "" && content[0] != '#' && indent <= y.column:
		y.part = yamlBehind
		return y.flush()
	case y.part == yamlItems && y.column < 0:
		return errors.New("items are no list")
	}
	if y.text.WriteString(line); y.text.Len() > maxObject {
		return ErrTooLarge
	}
	return nil
}

// flush decodes the piece that was read.
func (y *yamlReader) flush() error {
	defer y.text.Reset()
	if len(bytes.TrimSpace(y.text.Bytes())) == 0 {
		return nil
	}
	text, err := yaml.YAMLToJSONStrict(y.text.Bytes())
	if err != nil {
		return err
	}
	if bytes.Equal(text, []byte("null")) { // comments only
		return nil
	}
	return y.objects.json(bytes.NewReader(text))
}
