// Package build says which build of netmend a program is.
package build

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/netmend/netmend/pkg/facts"
)

// version is the next release; a build that Go's module system knows by a version, as go install makes it, has that one.
const version = "v0.1.0-dev"

// Info says which program this is. Fields are added, never changed.
type Info struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Date     string `json:"date,omitempty"`     // of the commit
	Modified bool   `json:"modified,omitempty"` // there were changes that the commit does not have
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Schema   int    `json:"snapshotSchema"` // of the documents that it reads and writes
}

// Read gives what Go's linker has put into the program.
func Read() Info {
	b := Info{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Schema: facts.Schema}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	if b.Commit == "" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		b.Version = info.Main.Version
	}
	return b
}

// String is a line for people, without the program's name.
func (b Info) String() string {
	text := b.Version
	if b.Commit != "" {
		text += " commit " + b.Commit[:min(12, len(b.Commit))]
		if b.Modified {
			text += " with changes"
		}
	}
	if b.Date != "" {
		text += " of " + b.Date
	}
	return fmt.Sprintf("%s, %s, %s, snapshot schema %d", text, b.Go, b.Platform, b.Schema)
}
