package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/netmend/netmend/pkg/report"
)

// outputFlags say how a command writes.
type outputFlags struct {
	format, colour string
}

// add makes the flags; the first of the formats is the default.
func (o *outputFlags) add(c *cobra.Command, formats []string) {
	c.Flags().StringVarP(&o.format, "output", "o", formats[0], "`FORMAT`: "+strings.Join(formats, ", "))
	c.Flags().StringVar(&o.colour, "color", "auto", "`WHEN` to paint: auto (on a terminal, unless NO_COLOR is set), always, never")
	complete(c, "output", words(formats...))
	complete(c, "color", words("auto", "always", "never"))
}

// widest is where messages are wrapped even on a wider terminal: longer lines are hard to read.
const widest = 110

func (o *outputFlags) style(e *env) (report.Style, error) {
	var s report.Style
	terminal := e.isTerminal(e.out)
	switch o.colour {
	case "always":
		s.Colour = true
	case "auto":
		s.Colour = terminal && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb" // https://no-color.org
	case "never":
	default:
		return s, fmt.Errorf("--color: unknown value %q: one of auto, always, never", o.colour)
	}
	if terminal {
		s.Width = min(e.columns(e.out), widest)
	}
	return s, nil
}

// known refuses a format that the command does not have.
func (o *outputFlags) known(formats ...string) error {
	if slices.Contains(formats, o.format) {
		return nil
	}
	return fmt.Errorf("-o: unknown format %q: one of %s", o.format, strings.Join(formats, ", "))
}

// emitJSON writes a value as an indented document.
func emitJSON(e *env, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return emit(e.out, string(data)+"\n")
}
