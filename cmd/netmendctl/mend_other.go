//go:build !linux

package main

import "github.com/spf13/cobra"

// mendCommands are those that change a node, of which there is none but on Linux.
func mendCommands(*env) []*cobra.Command { return nil }
