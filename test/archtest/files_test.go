package archtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// registries are the hosts that serve packages and images. Which of them a machine uses is its own business (a mirror, a proxy, none), so no
// file names one. They are written in two parts so that this file does not either.
var registries = regexp.MustCompile(`\b(` + strings.Join([]string{
	`docker` + `\.io`, `gcr` + `\.io`, `ghcr` + `\.io`, `quay` + `\.io`, `registry\.k8s` + `\.io`, `mcr\.microsoft` + `\.com`, `public\.ecr` + `\.aws`,
	`proxy\.golang` + `\.org`, `sum\.golang` + `\.org`, `goproxy` + `\.io`, `registry\.npmjs` + `\.org`, `pypi` + `\.org`, `deb\.debian` + `\.org`,
	`security\.debian` + `\.org`, `snapshot\.debian` + `\.org`, `download\.docker` + `\.com`, `packages\.cloud\.google` + `\.com`,
}, "|") + `)\b`)

func TestNoRegistryHosts(t *testing.T) {
	for _, name := range tracked(t) {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			continue // deleted, or a link to somewhere else: nothing that is published
		}
		for i, line := range bytes.Split(data, []byte("\n")) {
			if m := registries.Find(line); m != nil {
				t.Errorf("%s:%d names the registry %s: whoever builds has a mirror, a proxy or nothing at all, and says so in the environment", name, i+1, m)
			}
		}
	}
}

// tracked are the files of the repository: those that git knows or would add.
func tracked(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		t.Fatalf("list the repository's files: %v", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
}
