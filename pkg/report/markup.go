package report

import (
	"regexp"
	"strings"
)

// markup is the part of Markdown that the documentation of checks is written in: paragraphs, headings, lists, tables, indented or fenced code; in them code,
// bold, emphasis and links.
type markup struct {
	Kind  string // "p", "h", "li", "code"
	Spans []span
	Lines []string // of code
}

// span is a piece of text of one face.
type span struct {
	Face string // "", "code", "bold", "em", "link"
	Text string
	URL  string // of a link
}

var (
	listItem = regexp.MustCompile(`^\s{0,3}(?:[-*+]|\d+[.)])\s+(.*)$`)
	heading  = regexp.MustCompile(`^#{1,6}\s+(.*)$`)
	inline   = regexp.MustCompile("`([^`]+)`" + `|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\((https?://[^)\s]+)\)|(https?://[^\s)>\]]*[^\s)>\].,;:])`)
)

// parseMarkup reads Markdown. It is total: what it does not know is text.
func parseMarkup(text string) []markup {
	var out []markup
	var open *markup
	add := func(kind, line string) {
		out = append(out, markup{Kind: kind, Lines: []string{line}})
		open = &out[len(out)-1]
	}
	fenced := false
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		item, head := listItem.FindStringSubmatch(line), heading.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			if fenced = !fenced; fenced {
				out = append(out, markup{Kind: "code"})
				open = &out[len(out)-1]
			} else {
				open = nil
			}
		case fenced:
			open.Lines = append(open.Lines, line)
		case strings.TrimSpace(line) == "":
			open = nil
		case strings.HasPrefix(line, "    ") && (open == nil || open.Kind == "code"), strings.HasPrefix(line, "|"):
			line = strings.TrimPrefix(line, "    ")
			if open == nil || open.Kind != "code" {
				add("code", line)
			} else {
				open.Lines = append(open.Lines, line)
			}
		case head != nil:
			add("h", head[1])
			open = nil
		case item != nil:
			add("li", item[1])
		case open != nil && open.Kind != "code":
			open.Lines = append(open.Lines, strings.TrimSpace(line))
		default:
			add("p", line)
		}
	}
	for i := range out {
		if out[i].Kind != "code" {
			out[i].Spans = parseSpans(strings.Join(out[i].Lines, " "))
			out[i].Lines = nil
		}
	}
	return out
}

func parseSpans(text string) []span {
	var out []span
	for len(text) > 0 {
		at := inline.FindStringSubmatchIndex(text)
		if at == nil {
			return append(out, span{Text: text})
		}
		if at[0] > 0 {
			out = append(out, span{Text: text[:at[0]]})
		}
		group := func(n int) string {
			if at[2*n] < 0 {
				return ""
			}
			return text[at[2*n]:at[2*n+1]]
		}
		switch {
		case at[2] >= 0:
			out = append(out, span{Face: "code", Text: group(1)})
		case at[4] >= 0:
			out = append(out, span{Face: "bold", Text: strings.ReplaceAll(group(2), "`", "")})
		case at[6] >= 0:
			out = append(out, span{Face: "em", Text: strings.ReplaceAll(group(3), "`", "")})
		case at[8] >= 0:
			out = append(out, span{Face: "link", Text: strings.ReplaceAll(group(4), "`", ""), URL: group(5)})
		default:
			out = append(out, span{Face: "link", Text: group(6), URL: group(6)})
		}
		text = text[at[1]:]
	}
	return out
}
