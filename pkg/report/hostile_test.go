package report

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/netmend/netmend/pkg/check"
	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/fix"
)

// evil is what a stranger may put into any text of a snapshot: terminal escapes of both kinds, a change of direction, line ends, markup of each format.
const evil = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202edx\u2028\r\n# h\n| a | b |\n<script>alert(1)</script><img src=x onerror=alert(1)>\"'`` ``` `" +
	"[click](javascript:alert(1)) ![p](https://evil.example/p.png) https://evil.example/ @someone #1 {0} {{.}} \\ </style></title>&lt; \xff\u0000"

// evilDocument has evil in every text that a report shows.
func evilDocument() *Document {
	s := flannelNode(3)
	s.Node.Name, s.Node.Kernel, s.Node.Distribution, s.Note = evil, evil, evil, evil
	s.CNI.Files[0].Network, s.CNI.Files[0].Plugins[0].Type, s.Proxy.Mode = evil, evil, evil
	for i := range s.Host.Links {
		s.Host.Links[i].Name, s.Host.Links[i].Kind = evil, strings.Replace(s.Host.Links[i].Kind, "dummy", evil, 1)
	}
	s.Host.Sysctls["net/ipv4/ip_forward"] = evil
	for i := range s.Pods {
		s.Pods[i].Path, s.Pods[i].Comm = evil, evil
	}
	on := facts.Ref{NetNS: hostInode, Index: 4, Name: evil}
	pod := facts.Ref{NetNS: s.Pods[0].Inode, Index: 2, Name: evil}
	r := &check.Report{Passed: []string{evil}}
	for _, ref := range []facts.Ref{on, pod} {
		r.Findings = append(r.Findings, check.Finding{Check: "tunnel-tx-checksum", Severity: check.Critical, On: ref, Message: evil,
			Evidence: []check.Evidence{{Fact: evil, Got: evil, Want: evil}},
			Fixes: []fix.Fix{{Title: evil, Cost: evil, Changes: []fix.Change{{Knob: fix.LinkMTU, On: ref, From: evil, To: evil}}},
				{Title: evil, Advice: []string{evil}}}})
	}
	r.Skipped = []check.Skip{{Check: "x", Reason: evil}, {Check: "x", Reason: evil, On: &pod}}
	return documentOf(s, r)
}

func TestHostileText(t *testing.T) {
	d := evilDocument()
	for _, f := range Formats() {
		t.Run(f.Name, func(t *testing.T) {
			var b bytes.Buffer
			if err := f.Write(&b, d, Style{Width: 80}); err != nil {
				t.Fatal(err)
			}
			if !utf8.Valid(b.Bytes()) {
				t.Error("the output is no UTF-8")
			}
			for _, r := range b.String() {
				if r != '\n' && !unicode.IsPrint(r) && (f.Name != "yaml" || unicode.IsControl(r)) {
					t.Fatalf("the output has %U", r)
				}
			}
		})
	}
}

// TestHostileDocuments reads back what programs read.
func TestHostileDocuments(t *testing.T) {
	d := evilDocument()
	for _, f := range []Format{{"json", "", writeJSON}, {"yaml", "", writeYAML}} {
		var b bytes.Buffer
		if err := f.Write(&b, d, Style{}); err != nil {
			t.Fatal(err)
		}
		var got Document
		if err := yaml.UnmarshalStrict(b.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		if want := strings.ToValidUTF8(evil, "\ufffd"); got.Findings[0].Message != want {
			t.Errorf("%s: the message is %q; want %q", f.Name, got.Findings[0].Message, want)
		}
	}
}

func TestHostileHTML(t *testing.T) {
	var b bytes.Buffer
	if err := writeHTML(&b, evilDocument(), Style{}); err != nil {
		t.Fatal(err)
	}
	html := b.String()
	for _, tag := range []string{"<script", "<style", "<title>netmend", "</style>", "</script>"} {
		if got := strings.Count(html, tag); got != 1 {
			t.Errorf("the page has %q %d times; want once", tag, got)
		}
	}
	// What stays of evil is text; a browser sees these tags and attributes only, and none that loads anything.
	known := regexp.MustCompile(`^/?(?:!DOCTYPE|html|head|meta|title|style|body|header|p|h[1-5]|ul|li|strong|em|main|figure|figcaption|div|svg|g|path|rect|text|circle|a|span|section|form|input|label|output|article|table|thead|tbody|tr|th|td|pre|code|details|summary|dl|dt|dd|footer|script)$`)
	for _, m := range regexp.MustCompile(`<([^\s>]*)([^>]*)>`).FindAllStringSubmatch(strings.ReplaceAll(html, htmlScript, ""), -1) {
		if !known.MatchString(m[1]) {
			t.Errorf("unexpected tag %q", m[0])
		}
		if regexp.MustCompile(`(?i)\s(?:on\w+|src|srcdoc|style|xlink:href)\s*=`).MatchString(m[2]) {
			t.Errorf("unexpected attribute in %q", m[0])
		}
		if href := regexp.MustCompile(`href="([^"]*)"`).FindStringSubmatch(m[2]); href != nil && !strings.HasPrefix(href[1], "#f") && !strings.HasPrefix(href[1], "https://github.com/") {
			t.Errorf("unexpected link in %q", m[0])
		}
	}
}

func TestHostileMarkdown(t *testing.T) {
	var b bytes.Buffer
	if err := writeMarkdown(&b, evilDocument(), Style{}); err != nil {
		t.Fatal(err)
	}
	// Outside of code, every character that means something is escaped.
	prose := withoutCode(regexp.MustCompile("(?s)\n`{3,}sh\n.*?\n`{3,}\n").ReplaceAllString(b.String(), "\n"))
	for _, bad := range []*regexp.Regexp{regexp.MustCompile(`(^|[^\\])<`), regexp.MustCompile(`(^|[^\\])!\[`), regexp.MustCompile(`[^\\]\]\([^h]`), regexp.MustCompile(`(?m)^\s*#\s`), regexp.MustCompile(`@someone`), regexp.MustCompile(` https://evil`)} {
		if at := bad.FindStringIndex(prose); at != nil {
			t.Errorf("the Markdown has %q: %q", bad, prose[max(0, at[0]-40):min(len(prose), at[1]+40)])
		}
	}
}

// withoutCode removes code spans as CommonMark reads them: an unescaped run of backquotes up to the next run of the same length. Escaped characters go too.
func withoutCode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		run := len(s[i:]) - len(strings.TrimLeft(s[i:], "`"))
		switch {
		case s[i] == '\\':
			b.WriteString(`\`)
			i += 2
		case run > 0:
			fence := strings.Repeat("`", run)
			end := i + run
			for end < len(s) {
				at := strings.Index(s[end:], fence)
				if at < 0 {
					end = len(s)
					break
				}
				end += at
				length := len(s[end:]) - len(strings.TrimLeft(s[end:], "`"))
				end += length
				if length == run {
					break
				}
			}
			i = end
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	return b.String()
}

func TestHostileSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := writeSARIF(&b, evilDocument(), Style{}); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	text := log.Runs[0].Results[0].Message.Text
	if regexp.MustCompile(`[^\\]\[click[^\\]\]`).MatchString(text) || !strings.Contains(text, "{{0}}") {
		t.Errorf("the message has a link or a placeholder: %q", text)
	}
}

func TestNPDLine(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("a", 200), strings.Repeat("ü", 100), strings.Repeat("日本", 50), evil} {
		got := OneLine(text)
		if len(got) > npdBytes || !utf8.ValidString(got) || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("OneLine(%q) = %q, %d bytes; want one line of at most %d bytes", text, got, len(got), npdBytes)
		}
	}
}
