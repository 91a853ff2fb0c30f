package kube

import (
	"encoding/json"
	"errors"
	"io"
)

// listPage decodes one page of a list. item takes each object off the decoder. next is where the list goes on; empty for its end.
func listPage(body io.Reader, item func(*json.Decoder) error) (version, next string, err error) {
	d := json.NewDecoder(body)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", "", errors.Join(errors.New("not a list"), err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", "", err
		}
		switch key {
		case "metadata":
			var m struct {
				ResourceVersion string `json:"resourceVersion"`
				Continue        string `json:"continue"`
			}
			if err := d.Decode(&m); err != nil {
				return "", "", err
			}
			version, next = m.ResourceVersion, m.Continue
		case "items":
			if err := listItems(d, item); err != nil {
				return "", "", err
			}
		default:
			var rest json.RawMessage
			if err := d.Decode(&rest); err != nil {
				return "", "", err
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return "", "", err
	}
	if version == "" {
		return "", "", errors.New("a list without a version")
	}
	return version, next, nil
}

func listItems(d *json.Decoder, item func(*json.Decoder) error) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != json.Delim('[') {
		return errors.New("items are no list")
	}
	for d.More() {
		if err := item(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
