package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/netmend/netmend/cmd/internal/build"
)

func newCompletion(e *env) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print what a shell needs to complete commands, checks and formats",
		Example: `  source <(netmendctl completion bash)
  netmendctl completion zsh > "${fpath[1]}/_netmendctl"
  netmendctl completion fish > ~/.config/fish/completions/netmendctl.fish`,
		ValidArgsFunction: firstArgument(words(shells...)),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("completion: it takes the name of one shell: bash, zsh or fish")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return completion(e, c.Root(), args[0]) },
	}
}

func completion(e *env, root *cobra.Command, shell string) error {
	var b bytes.Buffer
	var err error
	switch shell {
	case "bash":
		err = root.GenBashCompletionV2(&b, true)
	case "zsh":
		err = root.GenZshCompletion(&b)
	case "fish":
		err = root.GenFishCompletion(&b, true)
	default:
		err = fmt.Errorf("unknown shell %q: one of bash, zsh, fish", shell)
	}
	if err != nil {
		return err
	}
	return emit(e.out, b.String())
}

func newMan(e *env) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "man --dir DIR",
		Short: "Write the man pages into a directory",
		Example: `  netmendctl man --dir /usr/local/share/man/man1
  man netmendctl-audit`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return manPages(e, c.Root(), dir) },
	}
	c.Flags().StringVar(&dir, "dir", "", "the `DIR` to write to, made if it does not exist; existing pages are replaced")
	return c
}

func manPages(e *env, root *cobra.Command, dir string) error {
	if dir == "" {
		return fmt.Errorf("--dir is missing: give a directory such as /usr/local/share/man/man1")
	}
	dir = filepath.Clean(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	date := e.now()
	header := &doc.GenManHeader{Section: "1", Source: "netmend " + build.Read().Version, Manual: "netmend", Date: &date}
	for _, c := range append([]*cobra.Command{root}, root.Commands()...) {
		c.DisableAutoGenTag = true
	}
	return doc.GenManTree(root, header, dir)
}
