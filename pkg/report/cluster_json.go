package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"sigs.k8s.io/yaml"
)

// A cluster's document is written node by node: that of 5,000 nodes would take several times its size in memory.

func writeClusterJSON(w io.Writer, c *Cluster, _ Style) error {
	const mark = "\n  \"nodes\": []" // no other key stands in that column, and text has no line's end
	before, after, err := withoutNodes(c, mark, func(v any) ([]byte, error) { return json.MarshalIndent(v, "", "  ") })
	if err != nil {
		return err
	}
	o := &clusterWriter{w: w}
	o.text(escape(before, unicode.MaxRune) + "\n  \"nodes\": [")
	for i := range c.Nodes {
		node, err := json.MarshalIndent(&c.Nodes[i], "    ", "  ")
		if err != nil {
			return fmt.Errorf("encode report: %w", err)
		}
		if i > 0 {
			o.text(",")
		}
		o.text("\n    " + escape(node, unicode.MaxRune))
	}
	if len(c.Nodes) > 0 {
		o.text("\n  ")
	}
	o.text("]" + escape(after, unicode.MaxRune) + "\n")
	return o.err
}

func writeClusterYAML(w io.Writer, c *Cluster, _ Style) error {
	const mark = "\nnodes: []"
	before, after, err := withoutNodes(c, mark, toYAML)
	if err != nil {
		return err
	}
	o := &clusterWriter{w: w}
	o.text(string(before))
	if len(c.Nodes) == 0 {
		o.text(mark)
	} else {
		o.text("\nnodes:")
	}
	for i := range c.Nodes {
		node, err := toYAML(&c.Nodes[i])
		if err != nil {
			return err
		}
		o.text("\n- " + strings.ReplaceAll(strings.TrimSuffix(string(node), "\n"), "\n", "\n  "))
	}
	o.text(string(after))
	return o.err
}

// withoutNodes encodes the document, and gives what stands before and behind its empty list of nodes.
func withoutNodes(c *Cluster, mark string, encode func(any) ([]byte, error)) (before, after []byte, err error) {
	rest := *c
	rest.Nodes = []ClusterNode{}
	text, err := encode(&rest)
	if err != nil {
		return nil, nil, fmt.Errorf("encode report: %w", err)
	}
	before, after, found := bytes.Cut(text, []byte(mark))
	if !found {
		return nil, nil, fmt.Errorf("encode report: no place for the nodes")
	}
	return before, after, nil
}

// clusterWriter keeps the first error.
type clusterWriter struct {
	w   io.Writer
	err error
}

func (o *clusterWriter) text(s string) {
	if o.err == nil {
		_, o.err = io.WriteString(o.w, s)
	}
}

// toYAML makes YAML of a value's JSON.
func toYAML(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	const lastOfOneUnit = 0xffff // YAML knows no pairs of them
	if data, err = yaml.JSONToYAML([]byte(escape(data, lastOfOneUnit))); err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return data, nil
}
