package facts

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// checkKeys refuses an object that has a key twice. Decoding would take parts of both values: encoding/json decodes the second into what the first has
// left. The data is known to be one valid JSON document.
func checkKeys(data []byte) error {
	var open []map[string]bool // the keys of the open objects; nil for an array
	var spare []map[string]bool
	key := false // the next string is a key
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{':
			keys := map[string]bool{}
			if n := len(spare); n > 0 {
				keys, spare = spare[n-1], spare[:n-1]
			}
			open, key = append(open, keys), true
		case '[':
			open, key = append(open, nil), false
		case '}', ']':
			if keys := open[len(open)-1]; keys != nil {
				clear(keys)
				spare = append(spare, keys)
			}
			open = open[:len(open)-1]
		case ',':
			key = open[len(open)-1] != nil
		case '"':
			end := endOfString(data, i)
			if key {
				name, err := unquote(data[i:end])
				if err != nil {
					return fmt.Errorf("decode snapshot: %w", err)
				}
				keys := open[len(open)-1]
				if keys[name] {
					return fmt.Errorf("decode snapshot: key %.100q occurs twice (at byte %d)", name, i)
				}
				keys[name] = true
			}
			i, key = end-1, false
		}
	}
	return nil
}

// endOfString gives the index behind the closing quote of the string that starts at i.
func endOfString(data []byte, i int) int {
	for i++; data[i] != '"'; i++ {
		if data[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func unquote(text []byte) (string, error) {
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1]), nil
	}
	var s string
	err := json.Unmarshal(text, &s)
	return s, err
}
