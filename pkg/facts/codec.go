package facts

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// MaxSize is the largest snapshot document, in bytes, that [Decode] reads: ten times what a node with 1,000 pods gives.
const MaxSize = 64 << 20

// maxObjects bounds how many JSON objects, arrays and nulls a document may hold, and maxValues how many values. An empty object, or a null in its place,
// costs few bytes of text and some hundred bytes of memory once decoded, and a short string some tens, so the size of the text alone bounds nothing.
const (
	maxObjects = 1 << 20
	maxValues  = 4 << 20
)

// ErrTooLarge says that a document is larger than [MaxSize].
var ErrTooLarge = errors.New("larger than a snapshot can be")

// Encode writes the snapshot as one JSON document.
func (s *Snapshot) Encode(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(s)
}

// Decode reads one snapshot document from a stranger: it is bounded in size, of a known schema, without unknown fields, with nothing behind it, and
// consistent as [Snapshot.Validate] demands. The error says what is wrong and changes nothing.
func Decode(r io.Reader) (*Snapshot, error) {
	data, err := readBounded(r)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(data); err != nil {
		return nil, err
	}
	if n := bytes.Count(data, []byte("{")) + bytes.Count(data, []byte("[")) + bytes.Count(data, []byte("null")); n > maxObjects {
		return nil, fmt.Errorf("decode snapshot: %w (%d objects, the most is %d)", ErrTooLarge, n, maxObjects)
	}
	if n := bytes.Count(data, []byte(",")); n > maxValues {
		return nil, fmt.Errorf("decode snapshot: %w (%d values, the most is %d)", ErrTooLarge, n, maxValues)
	}
	if err := checkKeys(data); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var s Snapshot
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode snapshot: more than one document")
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	slices.SortFunc(s.Pods, func(a, b Namespace) int { return cmp.Compare(a.Inode, b.Inode) }) // as they are looked up
	return &s, nil
}

// readBounded reads all there is, or gives up at the bound. It keeps what it reads in pieces until the end is known, so that an endless reader costs no
// more memory than the bound.
func readBounded(r io.Reader) ([]byte, error) {
	const piece = 1 << 20
	var pieces [][]byte
	size := 0
	for {
		p := make([]byte, piece)
		n, err := io.ReadFull(r, p)
		pieces = append(pieces, p[:n])
		if size += n; size > MaxSize {
			return nil, fmt.Errorf("decode snapshot: %w (%d MiB)", ErrTooLarge, MaxSize>>20)
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return bytes.Join(pieces, nil), nil
		case err != nil:
			return nil, fmt.Errorf("read snapshot: %w", err)
		}
	}
}

// checkSchema comes before strict decoding, so that a newer document is called that and not a list of unknown fields.
func checkSchema(data []byte) error {
	var head struct {
		Schema *int `json:"schema"`
	}
	err := json.Unmarshal(data, &head)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("decode snapshot: not a whole JSON document: %w (at byte %d of %d)", err, syntax.Offset, len(data))
	case err != nil:
		return fmt.Errorf("decode snapshot: %w", err)
	case head.Schema == nil:
		return errors.New(`decode snapshot: no "schema": this is not a netmend snapshot`)
	case *head.Schema != Schema:
		return fmt.Errorf("decode snapshot: schema %d is not known here (this netmend reads schema %d)", *head.Schema, Schema)
	}
	return nil
}

// Clone is a deep copy.
func (s *Snapshot) Clone() (*Snapshot, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("clone snapshot: %w", err)
	}
	var c Snapshot
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("clone snapshot: %w", err)
	}
	return &c, nil
}
