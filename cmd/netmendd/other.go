//go:build !linux

package main

import (
	"context"
	"fmt"
	"os"
)

func systemEnv() struct{} { return struct{}{} }

// run says that there is no node here.
func run(context.Context, struct{}) int {
	_, _ = fmt.Fprintln(os.Stderr, "netmendd: it looks after Linux nodes only") // nobody is left to tell
	return 2
}
