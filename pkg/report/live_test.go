package report

import (
	"strings"
	"testing"
)

// TestLive holds that the page that renews itself is the page, with what its policy allows and no more.
func TestLive(t *testing.T) {
	d := evilDocument()
	var plain, live strings.Builder
	if err := writeHTML(&plain, d, Style{}); err != nil {
		t.Fatal(err)
	}
	if err := WriteLive(&live, d, Live{Lines: []string{"mode \x1b[31m <b>fix</b>"}, Tag: `"><script>`, Ask: "/live"}); err != nil {
		t.Fatal(err)
	}
	page := live.String()
	for _, want := range []string{
		strings.ReplaceAll(digest(htmlScript), "+", "&#43;"), strings.ReplaceAll(digest(liveScript), "+", "&#43;"), "connect-src &#39;self&#39;", `mode \x1b[31m &lt;b&gt;fix&lt;/b&gt;`, `data-tag="&#34;&gt;&lt;script&gt;"`, `data-ask="/live"`,
		"<script>" + liveScript + "</script>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the live page lacks %q", want)
		}
	}
	for _, other := range []string{"connect-src", `id="live"`, liveScript} {
		if strings.Contains(plain.String(), other) {
			t.Errorf("the page that stays as it is has %.30q", other)
		}
	}
	if strings.Contains(page, "The audit changed nothing") {
		t.Error("a daemon that may change things says that it did not")
	}
	if !strings.Contains(page, "\n</main>\n") || strings.Count(page, "<article") != strings.Count(plain.String(), "<article") {
		t.Error("the live page has another body")
	}
}
