package cli

import (
	"cmp"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/cli/experiment"
	"semper/experiment/design"
	"semper/internal/config"
)

// declared are the experiments of a semper.yaml, with its app where no flag names another.
func (c *command) declared(path string) ([]design.Plan, error) {
	f, err := config.Load(path, c.env.LookupEnv)
	var wrong *config.Errors
	if errors.As(err, &wrong) && (*wrong)[0].Line == 0 { // there is no file to be wrong
		return nil, &semper.Error{Code: semper.NotFound, Message: (*wrong)[0].File + ": " + (*wrong)[0].Message}
	}
	if err != nil {
		return nil, err
	}
	c.app = cmp.Or(c.app, f.Spec.App)
	return f.Experiments, nil
}

// experimentCommand holds A/B tests.
func (c *command) experimentCommand() *cobra.Command {
	s := &experiment.Shell{
		Topic: topic, App: func() string { return c.app }, Environment: func() string { return c.environment }, By: c.by,
		With: c.with, Input: c.input, Declared: c.declared, Stdout: c.env.Stdout, Sayf: c.sayf, Print: c.print, Now: c.env.Now,
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
