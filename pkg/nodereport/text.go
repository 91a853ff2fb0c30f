package nodereport

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// short makes text one line of printable characters, and of at most so many bytes. Names of links and files on a node may hold anything.
func short(s string, most int) string {
	const ellipsis = "…"
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] >= ' ' && s[i] < unicode.MaxASCII
	}
	if !clean {
		s = strings.Map(func(r rune) rune {
			if r == utf8.RuneError || !unicode.IsPrint(r) {
				return '?'
			}
			return r
		}, s[:min(len(s), 4*most)])
	}
	if len(s) <= most {
		return s
	}
	end := most - len(ellipsis)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.TrimRight(s[:end], " ") + ellipsis
}
