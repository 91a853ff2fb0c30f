package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"github.com/netmend/netmend/pkg/audit"
	"github.com/netmend/netmend/pkg/facts"
)

// env is everything outside of the program that a command uses.
type env struct {
	name       string   // by which the program was called
	args       []string // without the program's name
	in         io.Reader
	out, err   io.Writer
	getenv     func(string) string
	environ    func() []string // for programs that are run
	now        func() time.Time
	isTerminal func(stream any) bool
	columns    func(stream any) int // of a terminal; 0 where they are not known
	suite      *audit.Suite         // nil: netmend's own, made by run
	collect    func(context.Context, audit.Source) (*facts.Snapshot, error)
	dial       dialFunc
}

func systemEnv() *env {
	return &env{
		name: filepath.Base(os.Args[0]), args: os.Args[1:], in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, environ: os.Environ, now: time.Now,
		isTerminal: func(stream any) bool { fd, ok := descriptor(stream); return ok && term.IsTerminal(fd) },
		columns:    columns, collect: audit.Collect, dial: audit.Connect,
	}
}

func descriptor(stream any) (int, bool) {
	f, ok := stream.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	return int(f.Fd()), true
}

func columns(stream any) int {
	fd, ok := descriptor(stream)
	if !ok {
		return 0
	}
	w, _, err := term.GetSize(fd)
	if err != nil {
		return 0
	}
	return w
}
