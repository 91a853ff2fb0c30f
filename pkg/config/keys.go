package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/netmend/netmend/pkg/audit"
)

// reader takes a value of the document. Its error says what is wrong with the value, and may be about a key within it.
type reader func(json.RawMessage) error

// keyError is what is wrong below a key.
type keyError struct {
	path string
	err  error
}

func (e *keyError) Error() string { return e.path + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// below puts a key before an error.
func below(key string, err error) error {
	var k *keyError
	if errors.As(err, &k) {
		separator := "."
		if strings.HasPrefix(k.path, "[") {
			separator = ""
		}
		return &keyError{key + separator + k.path, k.err}
	}
	return &keyError{key, err}
}

// object reads an object whose keys are known. Keys are taken in order, so that the same document has the same error.
func object(readers map[string]reader) reader {
	return entries(func(key string, v json.RawMessage) error {
		read, known := readers[key]
		if known {
			return read(v)
		}
		if near := audit.Nearest(key, slices.Sorted(maps.Keys(readers))); near != "" {
			return fmt.Errorf("unknown key: did you mean %s?", near)
		}
		return fmt.Errorf("unknown key: one of %s", strings.Join(slices.Sorted(maps.Keys(readers)), ", "))
	})
}

// entries reads an object whose keys are names.
func entries(each func(key string, v json.RawMessage) error) reader {
	return func(v json.RawMessage) error {
		var keys map[string]json.RawMessage
		if json.Unmarshal(v, &keys) != nil || keys == nil {
			return fmt.Errorf("%s is not a mapping of keys to values", brief(v))
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			err := each(key, keys[key])
			if err == nil && string(keys[key]) == "null" {
				err = errors.New("it has no value")
			}
			if err != nil {
				return below(brief([]byte(key)), err)
			}
		}
		return nil
	}
}

// list reads a list of at most so many values.
func list(most int, each reader) reader {
	return func(v json.RawMessage) error {
		var values []json.RawMessage
		if json.Unmarshal(v, &values) != nil || values == nil {
			return fmt.Errorf("%s is not a list", brief(v))
		}
		if len(values) > most {
			return fmt.Errorf("more than %d values", most)
		}
		for i, value := range values {
			if err := each(value); err != nil {
				return below("["+strconv.Itoa(i)+"]", err)
			}
		}
		return nil
	}
}

// text takes a string.
func text(take func(string) error) reader {
	return func(v json.RawMessage) error {
		var s *string
		if json.Unmarshal(v, &s) != nil || s == nil {
			return fmt.Errorf("%s is not a text", brief(v))
		}
		return take(*s)
	}
}

// orOff takes a string, or off, which YAML 1.1 reads as false.
func orOff(to *string, check func(string) error) reader {
	return func(v json.RawMessage) error {
		if s := string(v); s == "false" || s == `"off"` {
			*to = ""
			return nil
		}
		return text(func(s string) error {
			*to = s
			return check(s)
		})(v)
	}
}

// word takes one of a list of words.
func word[T ~string](to *T, words ...T) reader {
	return text(func(s string) error {
		if !slices.Contains(words, T(s)) {
			return fmt.Errorf("%s is not one of %s", quoted(s), join(words))
		}
		*to = T(s)
		return nil
	})
}

func join[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

func flag(to *bool) reader {
	return func(v json.RawMessage) error {
		var b *bool
		if json.Unmarshal(v, &b) != nil || b == nil {
			return fmt.Errorf("%s is not true or false", brief(v))
		}
		*to = *b
		return nil
	}
}

func duration(to *time.Duration, least, most time.Duration) reader {
	return func(v json.RawMessage) error {
		var s string
		d, err := time.Duration(0), json.Unmarshal(v, &s)
		if err == nil {
			d, err = time.ParseDuration(s)
		}
		if err != nil {
			return fmt.Errorf("%s is not a duration such as 90s or 10m", brief(v))
		}
		if d < least || d > most {
			return fmt.Errorf("%s is not between %s and %s", brief(v), least, most)
		}
		*to = d
		return nil
	}
}

func prefix(to *[]netip.Prefix) reader {
	return text(func(s string) error {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return fmt.Errorf("%s is not a CIDR such as 10.244.0.0/16", quoted(s))
		}
		*to = append(*to, p.Masked())
		return nil
	})
}

// address checks host:port to listen at. A name is not one: what it means may change.
func address(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err == nil && host != "" && host != "localhost" {
		_, err = netip.ParseAddr(host)
	}
	if n, convErr := strconv.ParseUint(port, 10, 16); err != nil || convErr != nil || n == 0 {
		return fmt.Errorf("%s is not ADDRESS:PORT such as %s, nor off", quoted(s), DefaultListen)
	}
	return nil
}

// brief is a value in a message: on one line, and short.
func brief(v []byte) string {
	const most = 60
	if len(v) > most {
		v = append(slices.Clone(v[:most]), "..."...)
	}
	q := strconv.Quote(string(v))
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

func quoted(s string) string { return `"` + brief([]byte(s)) + `"` }
