package experiment

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/experiment/design"
)

// A Shell is what the commands use of the command line that they are in. Its functions are called while a command runs, when flags
// have their values, but for Topic. All are set.
type Shell struct {
	Topic func(use, short, example string, subs ...*cobra.Command) *cobra.Command
	// App and Environment are whose experiments they are.
	App, Environment func() string
	By               func() string // who asks, for the record
	// With has a client of the server for as long as do takes.
	With func(ctx context.Context, do func(context.Context, *api.Client) error) error
	// Input is the file that the arguments name, or standard input.
	Input func(args []string) (io.ReadCloser, error)
	// Declared are the experiments of the semper.yaml at a path, a directory or a file.
	Declared func(path string) ([]design.Plan, error)
	Stdout   io.Writer
	Sayf     func(format string, args ...any)
	// Print and PrintList write values as --output says: names for -o name, table what a person reads.
	Print     func(value any, names []string, table func(io.Writer, draw.Paint)) error
	PrintList func(list []api.ExperimentInfo, table func(io.Writer, draw.Paint)) error
	Live      func() bool // a person looks at a terminal, and wants a table
	Screen    func() (draw.Screen, draw.Paint)
	Now       func() time.Time
}

// ask runs do with a client of the server.
func (c *Shell) ask(do func(context.Context, *api.Client) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error { return c.With(cmd.Context(), do) }
}

// Command holds A/B tests.
func (c *Shell) Command() *cobra.Command {
	return c.Topic("experiment", "compare variants of an app by what users do",
		"  semper experiment start checkout\n  semper experiment status checkout --watch\n  semper experiment promote checkout green",
		c.startCommand(), c.statusCommand(), c.stopCommand(), c.promoteCommand(), c.listCommand(), c.tokenCommand())
}

func (c *Shell) statusCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "status [NAME]", Short: "what is known of an experiment, and what follows",
		Long: `Show users and metrics of each variant, the difference to the first with an interval that holds at all times, and the one sentence
that says what follows. It may be looked at as often as one likes: that makes no conclusion less sure.`,
		Example: "  semper experiment status checkout\n  semper experiment status --watch\n  semper experiment status checkout --json | jq .report.outcome",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				if watch && c.Live() {
					return c.watchExperiments(ctx, s, name)
				}
				list, err := c.experiments(ctx, s, name)
				if err != nil {
					return err
				}
				if name != "" {
					return c.Print(list[0], []string{name}, func(w io.Writer, p draw.Paint) { writeLines(w, draw.Experiment(list[0], p, c.Now())) })
				}
				return c.PrintList(list, func(w io.Writer, p draw.Paint) {
					for _, x := range list {
						writeLines(w, append(draw.Experiment(x, p, c.Now()), ""))
					}
				})
			})
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "keep it on the terminal, up to date")
	return cmd
}

func writeLines(w io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprintln(w, l)
	}
}

// experiments are all of the environment, or the one with a name.
func (c *Shell) experiments(ctx context.Context, s *api.Client, name string) ([]api.ExperimentInfo, error) {
	list, err := s.Experiments(ctx, c.App(), c.Environment())
	if err != nil || name == "" {
		return list, err
	}
	var names []string
	for _, x := range list {
		if x.Plan.Name == name {
			return []api.ExperimentInfo{x}, nil
		}
		names = append(names, x.Plan.Name)
	}
	hint := "semper experiment start FILE"
	if len(names) > 0 {
		hint = "there is " + strings.Join(names, ", ")
	}
	return nil, &semper.Error{Code: semper.NotFound, Op: "experiment status", Message: fmt.Sprintf("no experiment %q", name), Hint: hint}
}

// watchExperiments draws them anew every second.
func (c *Shell) watchExperiments(ctx context.Context, s *api.Client, name string) error {
	sc, p := c.Screen()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		list, err := c.experiments(ctx, s, name)
		if err != nil {
			return err
		}
		var block []string
		for _, x := range list {
			block = append(append(block, draw.Experiment(x, p, c.Now())...), "")
		}
		sc.Draw(block)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *Shell) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop NAME", Short: "end an experiment: nobody has a variant any more",
		Example: "  semper experiment stop checkout", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.endExperiment(cmd.Context(), args[0], "") },
	}
}

func (c *Shell) promoteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "promote NAME VARIANT", Short: "give a variant to every user",
		Long: `Give VARIANT to every user, decided or not: who decides is you. It stays so until the app needs the field no more, and semper
experiment stop ends it.

Where VARIANT is another release a rollout to it begins, with the steps and the judge that the release asks for: semper status shows
it. Users keep their variants until it has traffic to give.`,
		Example: "  semper experiment promote checkout green", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return c.endExperiment(cmd.Context(), args[0], args[1]) },
	}
}

func (c *Shell) endExperiment(ctx context.Context, name, winner string) error {
	return c.With(ctx, func(ctx context.Context, s *api.Client) error {
		if err := s.EndExperiment(ctx, c.App(), c.Environment(), name, winner, c.By()); err != nil {
			return err
		}
		if winner == "" {
			c.Sayf("%s is stopped\n", name)
		} else {
			return c.promoted(ctx, s, name, winner)
		}
		return nil
	})
}

// promoted says what follows from a promotion.
func (c *Shell) promoted(ctx context.Context, s *api.Client, name, winner string) error {
	list, err := c.experiments(ctx, s, name)
	if err != nil {
		return err
	}
	switch x := list[0]; {
	case x.Rollout != "":
		c.Sayf("%s is promoted by rollout %s: semper status -w\n", winner, x.Rollout)
	case len(x.Plan.Releases()) > 0:
		c.Sayf("%s is over: every user has %s, the current release\n", name, winner)
	default:
		c.Sayf("every user of %s has %s\n", name, winner)
	}
	return nil
}

func (c *Shell) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "experiments, and what each says", Aliases: []string{"ls"},
		Example: "  semper experiment list\n  semper experiment list --json", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			list, err := s.Experiments(ctx, c.App(), c.Environment())
			if err != nil {
				return err
			}
			return c.PrintList(list, func(w io.Writer, p draw.Paint) { writeLines(w, draw.Experiments(list, p)) })
		}),
	}
}

func (c *Shell) tokenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "token", Short: "print the token with which an app pushes values, and may do nothing else",
		Example: "  semper experiment token -a bar", Args: cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			token, err := s.MetricsToken(ctx, c.App())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.Stdout, token)
			return err
		}),
	}
}
