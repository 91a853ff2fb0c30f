package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/facts"
	"github.com/netmend/netmend/pkg/facts/redact"
)

// snapshotCommand is the flags of snapshot.
type snapshotCommand struct {
	env    *env
	source sourceFlags

	file, note string
	redact     bool
}

func newSnapshot(e *env) *cobra.Command {
	s := &snapshotCommand{env: e}
	c := &cobra.Command{
		Use:   "snapshot",
		Short: "Write all facts of a node as one JSON document",
		Long: `Snapshot reads all facts of a node and writes them as one JSON document, which audit --from judges on any machine. It changes nothing.

With --redact it replaces addresses, hardware addresses, container ids and the names that an operator chose, so that the document can be shown to
strangers: what was equal stays equal and what was within a prefix stays within it, so the findings are the same. The replacements are drawn
anew each time and cannot be taken back. Kernel, distribution, well-known names and all numbers stay.`,
		Example: `  netmendctl snapshot -f node1.json
  netmendctl snapshot --redact --window 10s --note "DNS is slow" > bug.json
  netmendctl snapshot --services services.yaml -f node1.json
  netmendctl snapshot --from node1.json --redact -f public.json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return s.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVarP(&s.file, "file", "f", "-", "write to this `FILE`, which only its owner can read; - is standard output")
	flags.BoolVar(&s.redact, "redact", false, "replace addresses and names")
	flags.StringVar(&s.note, "note", "", "`TEXT` to keep in the document: what was seen")
	s.source.add(flags)
	return c
}

func (s *snapshotCommand) run(ctx context.Context) error {
	kinds := append(facts.NamespaceKinds(), facts.NodeKinds()...)
	snapshot, err := s.source.snapshot(ctx, s.env, kinds)
	if err != nil {
		return err
	}
	if s.note != "" {
		snapshot.Note = s.note
	}
	if s.redact {
		key := make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return fmt.Errorf("draw replacements: %w", err)
		}
		if snapshot, err = redact.Snapshot(snapshot, key); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := snapshot.Encode(&b); err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	if s.file == "-" {
		return emit(s.env.out, b.String())
	}
	return replaceFile(s.file, b.Bytes())
}

// replaceFile writes a file as a whole or not at all: beside it, then in its place. Only the owner can read it. It replaces nothing but files: a rename
// would put one where a device or a pipe is.
func replaceFile(name string, data []byte) (err error) {
	if st, err := os.Lstat(name); err == nil && !st.Mode().IsRegular() {
		return fmt.Errorf("write %s: it exists and is no regular file: give another name, or - for standard output", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()           // it may be closed already
			_ = os.Remove(f.Name()) // the first error says more
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
