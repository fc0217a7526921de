package cli

import (
	"io"

	"github.com/spf13/cobra"

	"semper/api"
	"semper/cli/draw"
	"semper/cli/experiment"
)

// experimentCommand holds A/B tests.
func (c *command) experimentCommand() *cobra.Command {
	s := &experiment.Shell{
		Topic: topic, App: func() string { return c.app }, Environment: func() string { return c.environment }, By: c.by,
		With: c.with, Input: c.input, Stdout: c.env.Stdout, Sayf: c.sayf, Print: c.print, Now: c.env.Now,
		PrintList: func(list []api.ExperimentInfo, table func(io.Writer, draw.Paint)) error {
			return printList(c, list, func(x api.ExperimentInfo) string { return x.Plan.Name }, table)
		},
		Live: func() bool { return c.output == "table" && c.env.IsTTY(c.env.Stdout) },
		Screen: func() (draw.Screen, draw.Paint) {
			return draw.Screen{W: c.env.Stdout, Size: c.env.Size}, c.paint(c.env.Stdout)
		},
	}
	return s.Command()
}
