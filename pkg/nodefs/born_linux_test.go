package nodefs

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestRemoveYounger removes what was made later and holds nothing, and its parents, and nothing else.
func TestRemoveYounger(t *testing.T) {
	root := t.TempDir()
	make := func(dir string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	make("etc/old.d")
	make("mark")
	mark, err := Born(filepath.Join(root, "mark"))
	if err != nil {
		t.Fatal(err)
	}
	if old, err := Born(filepath.Join(root, "etc/old.d")); err != nil || old.After(mark) || time.Since(old) > time.Hour {
		t.Fatalf("Born() = %v, %v; the next was made %v", old, err, mark)
	}
	time.Sleep(50 * time.Millisecond) // the kernel's clock for files goes in ticks
	make("etc/new/rules.d")
	make("etc/full.d/x")
	make("elsewhere/made")
	if err := os.Symlink("/elsewhere", filepath.Join(root, "etc/link")); err != nil {
		t.Fatal(err)
	}
	than := mark.Add(25 * time.Millisecond)
	for _, tt := range []struct {
		path string
		want []string
	}{
		{"/etc/old.d", nil},
		{"/etc/full.d", nil},
		{"/etc/none.d", nil},
		{"/etc/new/rules.d/", []string{"/etc/new/rules.d", "/etc/new"}},
		{"/etc/link/made", []string{"/etc/link/made", "/etc/link"}}, // as the node itself would follow it
		{"/", nil},
	} {
		got, err := RemoveYounger(root, tt.path, than)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("RemoveYounger(%s) = %q, %v; want %q", tt.path, got, err, tt.want)
		}
	}
	for name, want := range map[string]bool{"etc/old.d": true, "etc/full.d/x": true, "etc/new": false, "elsewhere": false} {
		if _, err := os.Lstat(filepath.Join(root, name)); (err == nil) != want {
			t.Errorf("%s: %v; want it there: %v", name, err, want)
		}
	}
}
