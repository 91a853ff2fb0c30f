package cluster

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/netmend/netmend/test/e2e/containerd"
	"github.com/netmend/netmend/test/e2e/lab"
)

// image builds one of this source tree's programs into an image, and gives its archive.
func image(t *testing.T, name, pkg string) (archive string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, filepath.Base(pkg))
	archive = program + ".tar"
	err := lab.Build(program, pkg)
	if err == nil {
		err = containerd.WriteImage(archive, name, program)
	}
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// netmendImage makes netmend's image as its users do, and gives its archive.
func netmendImage(t *testing.T) (archive string) {
	t.Helper()
	if out, err := exec.Command(filepath.Join(lab.Source(), "scripts/image.sh")).CombinedOutput(); err != nil {
		t.Fatalf("scripts/image.sh: %v\n%s", err, out)
	}
	return filepath.Join(lab.Source(), "bin/netmend-image.tar")
}
