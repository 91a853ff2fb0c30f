package host

import (
	"strings"
	"testing"
)

// TestDoHandsAPanicOn shows that what panics inside can be caught outside, with the stack of where it happened.
func TestDoHandsAPanicOn(t *testing.T) {
	h, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	defer func() {
		text, _ := recover().(string)
		if !strings.HasPrefix(text, "deep inside\n") || !strings.Contains(text, "panic_test.go") {
			t.Errorf("recover() = %q; want the text and the stack of the panic", text)
		}
	}()
	_ = h.Node().Do(func() error { panic("deep inside") })
	t.Error("Do returned")
}
