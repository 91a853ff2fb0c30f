package main

import (
	"github.com/spf13/cobra"

	"github.com/netmend/netmend/cmd/internal/build"
)

func newVersion(e *env) *cobra.Command {
	var o outputFlags
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  netmendctl version
  netmendctl version -o json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := o.known("text", "json"); err != nil {
				return err
			}
			if o.format == "json" {
				return emitJSON(e, build.Read())
			}
			return emit(e.out, "netmendctl "+build.Read().String()+"\n")
		},
	}
	o.add(c, []string{"text", "json"})
	return c
}
