package repair

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzBootContent: what netmend writes into a file that others may have written into too, it takes out again, and nothing else.
func FuzzBootContent(f *testing.F) {
	f.Add("", "net/ipv4/ip_forward = 1")
	f.Add("# by hand\nnet.core.somaxconn = 1\n", "net/ipv4/ip_forward = 1")
	f.Add("no newline at the end", "x = 1")
	f.Add(bootHead+bootMark+"3\nx = 1\n", "y = 2")
	f.Add(bootMark, "y = 2")
	f.Fuzz(func(t *testing.T, old, text string) {
		if text == "" || strings.ContainsAny(text, "\n") {
			return
		}
		without := bootContent([]byte(old), nil)
		own := []BootLine{{File: SysctlFile, Fix: 7, Text: text}}
		with := bootContent([]byte(old), own)
		if !strings.HasPrefix(string(with), bootHead+bootMark+"7\n"+text+"\n") {
			t.Errorf("the line is not in %q", with)
		}
		if again := bootContent(with, own); !bytes.Equal(again, with) {
			t.Errorf("written twice it is %q; want %q", again, with)
		}
		if got := bootContent(with, nil); !bytes.Equal(got, without) {
			t.Errorf("without the line it is %q; want %q", got, without)
		}
	})
}
