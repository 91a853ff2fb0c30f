package checks

import "strings"

// markdown turns a raw string into Markdown: a tilde stands for the backquote, which a raw string cannot hold.
func markdown(text string) string {
	return strings.TrimSpace(strings.ReplaceAll(text, "~", "`")) + "\n"
}
