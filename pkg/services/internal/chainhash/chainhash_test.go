package chainhash

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"testing"
)

// TestOf compares with the standard library for every length up to several blocks.
func TestOf(t *testing.T) {
	text := strings.Repeat("namespace/a-name-that-is-long:port-1tcp\xff\x00", 8)
	for n := range len(text) + 1 {
		sum := sha256.Sum256([]byte(text[:n]))
		if got, want := Of(text[:n]), base32.StdEncoding.EncodeToString(sum[:])[:16]; got != want {
			t.Errorf("Of(%q) = %s; want %s", text[:n], got, want)
		}
		if got := Sum256([]byte(text[:n])); got != sum {
			t.Errorf("Sum256(%q) = %x; want %x", text[:n], got, sum)
		}
	}
}
