package report

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/netmend/netmend/pkg/facts"
)

func TestWhere(t *testing.T) {
	s := flannelNode(2)
	s.Pods[1].Path, s.Pods[1].Comm, s.Pods[1].PID = "", "", 0
	for _, tt := range []struct {
		name string
		on   facts.Ref
		want string
	}{
		{"node", facts.Ref{}, "the node"},
		{"its link", facts.Ref{NetNS: hostInode, Index: 4, Name: "flannel.1"}, "flannel.1"},
		{"its sysctl", facts.Ref{NetNS: hostInode, Name: "net.ipv4.ip_forward"}, "net.ipv4.ip_forward"},
		{"a file", facts.Ref{Name: "/etc/cni/net.d/10-a.conf"}, "/etc/cni/net.d/10-a.conf"},
		{"a pod's link", facts.Ref{NetNS: s.Pods[0].Inode, Index: 2, Name: "eth0"}, "eth0 in /run/netns/cni-005f00aa (coredns, pid 4000)"},
		{"a pod", facts.Ref{NetNS: s.Pods[0].Inode, Name: s.Pods[0].Path}, "/run/netns/cni-005f00aa (coredns, pid 4000)"},
		{"a pod of which nothing is known", facts.Ref{NetNS: s.Pods[1].Inode, Index: 2, Name: "eth0"}, "eth0 in namespace 4026532001"},
		{"a namespace that is not there", facts.Ref{NetNS: 7, Index: 2, Name: "eth0"}, "eth0 in namespace 7"},
	} {
		if got := Where(s, tt.on); got != tt.want {
			t.Errorf("%s: Where = %q; want %q", tt.name, got, tt.want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "ümlaut 日本": "ümlaut 日本", "a\x1b[31mb": `a\x1b[31mb`, "a\nb\tc": `a\nb\tc`, "\u009b": `\u009b`, "\u202e": `\u202e`,
		"\xff": `\xff`, "\ufeff": `\ufeff`, "\x7f": `\x7f`, "a\u00a0b": `a\u00a0b`,
	} {
		if got := Printable(in); got != want {
			t.Errorf("Printable(%q) = %q; want %q", in, got, want)
		}
		if again := Printable(Printable(in)); again != want {
			t.Errorf("Printable twice(%q) = %q; want %q", in, again, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		text    string
		columns int
		want    []string
	}{
		{"one two three", 0, []string{"one two three"}},
		{"one two three", 7, []string{"one two", "three"}},
		{"incompressible word", 4, []string{"incompressible", "word"}},
		{"", 4, []string{""}},
	} {
		if d := cmp.Diff(tt.want, wrap(tt.text, tt.columns)); d != "" {
			t.Errorf("wrap(%q, %d) (-want +got):\n%s", tt.text, tt.columns, d)
		}
	}
}

func TestParseMarkup(t *testing.T) {
	got := parseMarkup("First `code` and **bold**,\nsecond line.\n\n- an *item*\n- two\n\n    indented\n\n```\nfenced `x`\n```\n## Head\nsee https://example.org/a.\n")
	want := []markup{
		{Kind: "p", Spans: []span{{Text: "First "}, {Face: "code", Text: "code"}, {Text: " and "}, {Face: "bold", Text: "bold"}, {Text: ", second line."}}},
		{Kind: "li", Spans: []span{{Text: "an "}, {Face: "em", Text: "item"}}},
		{Kind: "li", Spans: []span{{Text: "two"}}},
		{Kind: "code", Lines: []string{"indented"}},
		{Kind: "code", Lines: []string{"fenced `x`"}},
		{Kind: "h", Spans: []span{{Text: "Head"}}},
		{Kind: "p", Spans: []span{{Text: "see "}, {Face: "link", Text: "https://example.org/a", URL: "https://example.org/a"}, {Text: "."}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("parseMarkup (-want +got):\n%s", d)
	}
}

func FuzzParseMarkup(f *testing.F) {
	f.Add("a `b` **c** *d* [e](https://f)\n- g\n```\nh")
	f.Fuzz(func(t *testing.T, text string) {
		for _, m := range parseMarkup(text) {
			if m.Kind != "code" && len(m.Lines) > 0 {
				t.Errorf("%q keeps lines in %+v", text, m)
			}
		}
	})
}

func TestExplain(t *testing.T) {
	c := ownChecks()[2]
	var b bytes.Buffer
	if err := Explain(&b, c, Style{Width: 60}); err != nil {
		t.Fatal(err)
	}
	golden(t, "explain.text", b.Bytes())
	if got := Markdown(c); !strings.HasPrefix(got, "# tunnel-tx-checksum\n") || !strings.Contains(got, c.Doc) {
		t.Errorf("Markdown = %q; want the name and the documentation", got)
	}
}

// TestJSONShape holds the fields that others rely on: fields are added, never changed.
func TestJSONShape(t *testing.T) {
	s := flannelNode(2)
	var b bytes.Buffer
	if err := writeJSON(&b, documentOf(s, findingsOf(s, 1)), Style{}); err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"apiVersion", "kind", "node", "taken", "summary.critical", "summary.warning", "summary.info", "summary.skipped",
		"findings.check", "findings.severity", "findings.on.netns", "findings.on.index", "findings.on.name", "findings.message",
		"findings.evidence.fact", "findings.evidence.got", "findings.evidence.want", "findings.fixes.title", "findings.fixes.cost", "findings.fixes.auto",
		"findings.fixes.changes.knob", "findings.fixes.changes.on", "findings.fixes.changes.from", "findings.fixes.changes.to", "findings.url", "skipped.check", "skipped.reason",
	} {
		if !has(doc, strings.Split(path, ".")) {
			t.Errorf("the report has no %s", path)
		}
	}
}

// has looks for a field; of a list, in its first element.
func has(v any, path []string) bool {
	if list, ok := v.([]any); ok {
		return len(list) > 0 && has(list[0], path)
	}
	if len(path) == 0 {
		return true
	}
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	inner, ok := m[path[0]]
	return ok && has(inner, path[1:])
}

// TestSARIFRequired holds what the schema of SARIF 2.1.0 and GitHub's code scanning demand, and the references between its parts.
func TestSARIFRequired(t *testing.T) {
	s := flannelNode(2)
	var b bytes.Buffer
	if err := writeSARIF(&b, documentOf(s, findingsOf(s, 1)), Style{}); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name == "" || len(log.Runs[0].Results) != 3 {
		t.Fatalf("version %q, %d runs", log.Version, len(log.Runs))
	}
	run := log.Runs[0]
	seen, prints := map[string]bool{}, map[string]bool{}
	for _, r := range run.Tool.Driver.Rules {
		if r.ID == "" || seen[r.ID] || r.Short.Text == "" || r.Full.Text == "" || r.Help.Text == "" || !strings.HasPrefix(r.HelpURI, "https://") {
			t.Errorf("rule %+v", r)
		}
		seen[r.ID] = true
	}
	for _, r := range run.Results {
		if r.Message.Text == "" || run.Tool.Driver.Rules[r.RuleIndex].ID != r.RuleID || r.Locations[0].Logical[0].Qualified == "" {
			t.Errorf("result %+v", r)
		}
		if at := r.Locations[0].Physical; at.Artifact.URI != "nodes/node1" || at.Region != (sarifRegion{1, 1, 1, 1}) {
			t.Errorf("physical location %+v; want nodes/node1, line 1", at)
		}
		if r.Fingerprints["primaryLocationLineHash"] == "" || prints[r.Fingerprints["primaryLocationLineHash"]] {
			t.Errorf("result %+v has no fingerprint of its own", r)
		}
		prints[r.Fingerprints["primaryLocationLineHash"]] = true
		switch r.Level {
		case "none", "note", "warning", "error":
		default:
			t.Errorf("level %q", r.Level)
		}
	}
	for _, n := range run.Invocations[0].Notifications {
		if n.Message.Text == "" || run.Tool.Driver.Rules[n.Rule.Index].ID != n.Rule.ID {
			t.Errorf("notification %+v", n)
		}
	}
}

func TestNodeURI(t *testing.T) {
	for name, want := range map[string]string{
		"node1.example": "nodes/node1.example", "": "nodes/unnamed", "..": "nodes/unnamed..", "a/../../b": "nodes/a%2F..%2F..%2Fb",
		"http://x": "nodes/http:%2F%2Fx", "a b?c#d%": "nodes/a%20b%3Fc%23d%25", "\xff\n": "nodes/%EF%BF%BD%0A",
	} {
		got := nodeURI(name)
		if got != want {
			t.Errorf("nodeURI(%q) = %q; want %q", name, got, want)
		}
		if u, err := url.Parse(got); err != nil || u.IsAbs() || u.Host != "" || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("nodeURI(%q) = %q is no relative path: %v", name, got, err)
		}
	}
}

func TestMomentParts(t *testing.T) {
	for window, want := range map[float64]string{
		0: "one sample", 1.001083315: "counters over 1 s", 10.26: "counters over 10.3 s", 60: "counters over 60 s", 0.004: "counters over less than 0.1 s",
	} {
		d := &Document{Window: window, Node: Node{Privileged: true}}
		if got := momentParts(d)[1]; got != want {
			t.Errorf("momentParts of %v s = %q; want %q", window, got, want)
		}
	}
}
