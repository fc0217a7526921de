package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/pipeline/course"
)

func (c *command) pipelineCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "list runs, and what they wait for", Example: "  semper pipeline list\n  semper pipeline list -o name", Args: cobra.NoArgs,
		RunE: c.ask(c.listRuns),
	}
	show := &cobra.Command{
		Use: "show [RUN]", Short: "show the pipeline in force and its newest run, or one run", Example: "  semper pipeline show\n  semper pipeline show p-7", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error { return c.showPipeline(ctx, s, args) })
		},
	}
	cmd := topic("pipeline", "take releases through environments and their gates", "  semper pipeline run\n  semper pipeline show\n  semper pipeline approve --why \"checked the dashboards\"",
		list, show, c.startRunCommand(), c.approveCommand(), c.rejectCommand(), c.rerunCommand(), c.lineCommand(true), c.lineCommand(false), c.keyCommand())
	cmd.Long = `semper.yaml names the environments of an app in order, and the gates between them. A run takes one release along
it. Each gate that is passed leaves a signed statement, and an environment refuses what lacks one that it requires.`
	return cmd
}

func (c *command) listRuns(ctx context.Context, s *api.Client) error {
	l, err := s.Pipelines(ctx, c.app)
	if err != nil {
		return err
	}
	var runs []api.RunStatus
	for _, p := range l {
		runs = append(runs, p.Runs...)
	}
	return printList(c, runs, func(r api.RunStatus) string { return r.ID }, func(w io.Writer, p draw.Paint) { draw.Runs(w, p, l) })
}

func (c *command) showPipeline(ctx context.Context, s *api.Client, args []string) error {
	l, err := s.Pipelines(ctx, c.app)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		for _, p := range l {
			if i := slices.IndexFunc(p.Runs, func(r api.RunStatus) bool { return r.ID == args[0] }); i >= 0 {
				return c.print(p.Runs[i], []string{p.Runs[i].ID}, func(w io.Writer, paint draw.Paint) { draw.Run(w, paint, p.Runs[i]) })
			}
		}
		return &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no run %q", args[0]), Hint: "semper pipeline list"}
	}
	switch len(l) {
	case 0:
		return &semper.Error{Code: semper.NotFound, Message: "no app has a pipeline", Hint: `name environments in semper.yaml, and: semper pipeline run`}
	case 1:
	default:
		return &semper.Error{Code: semper.Invalid, Message: "several apps have a pipeline", Hint: "say which with --app"}
	}
	return c.print(l[0], []string{l[0].Pipeline.App}, func(w io.Writer, p draw.Paint) { draw.Pipeline(w, p, l[0]) })
}

func (c *command) startRunCommand() *cobra.Command {
	var file string
	var detach, wait bool
	cmd := &cobra.Command{
		Use: "run", Short: "make a release and send it through the environments",
		Long: `Build, pack and upload what semper.yaml names, and take the release through the environments in their order.
It prints what happens until the run ends (exit 0; 1 when it fails) or somebody is asked for a yes (exit 8). The run goes on by itself:
Ctrl-C ends only the watching.`,
		Example: "  semper pipeline run\n  semper pipeline run --wait --timeout 24h\n  semper pipeline run --detach -o name",
		Args:    cobra.NoArgs,
		RunE: c.ask(func(ctx context.Context, s *api.Client) error {
			p := c.newProgress()
			src, err := c.prepare(ctx, file, p)
			if err != nil {
				return err
			}
			defer src.Close()
			if err := c.upload(ctx, s, src, p); err != nil {
				return err
			}
			run, err := s.StartRun(ctx, c.request(src))
			if err != nil {
				return err
			}
			if detach {
				return c.printRun(ctx, s, run)
			}
			return c.watchRun(ctx, s, run, wait)
		}),
	}
	fileFlag(cmd, &file)
	cmd.Flags().BoolVar(&detach, "detach", false, "return as soon as the run has begun")
	cmd.Flags().BoolVar(&wait, "wait", false, "go on watching while somebody is asked")
	return cmd
}

// watchRun prints what happens to a run until it ends, or waits for somebody.
func (c *command) watchRun(ctx context.Context, s *api.Client, run course.Run, wait bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.Events(ctx, run.App, 0, true)
	if err != nil {
		return err
	}
	for e := range events {
		if e.Run != run.ID {
			continue
		}
		if !c.quiet {
			c.sayf("%s  %s", draw.Clock(e.At), draw.OneLine(e.Message))
		}
		switch e.Kind {
		case "pipeline.passed":
			return c.printRun(ctx, s, run)
		case "pipeline.failed", "pipeline.rejected", "pipeline.superseded":
			return errors.Join(c.printRun(ctx, s, run), &exit{code: exitFailed, err: fmt.Errorf("%s of %s did not come through", run.ID, run.App), hint: "semper pipeline show " + run.ID})
		case "gate.asks":
			if !wait {
				return errors.Join(c.printRun(ctx, s, run), &exit{code: exitPending, err: fmt.Errorf("%s of %s waits for a yes", run.ID, run.App), hint: "semper pipeline approve " + run.ID})
			}
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return &semper.Error{Code: semper.Unavailable, Message: "the events of the run broke off", Hint: "it goes on: semper pipeline show " + run.ID}
}

// printRun prints a run as it is now.
func (c *command) printRun(ctx context.Context, s *api.Client, run course.Run) error {
	l, err := s.Pipelines(ctx, run.App)
	if err != nil {
		return err
	}
	st := api.RunStatus{Run: run}
	for _, p := range l {
		if i := slices.IndexFunc(p.Runs, func(r api.RunStatus) bool { return r.ID == run.ID }); i >= 0 {
			st = p.Runs[i]
		}
	}
	return c.print(st, []string{st.ID}, func(w io.Writer, p draw.Paint) { draw.Run(w, p, st) })
}

// onRun is a command about a run that may be left out where only one can be meant.
func (c *command) onRun(cmd *cobra.Command, do func(ctx context.Context, s *api.Client, run string) (course.Run, error)) *cobra.Command {
	cmd.Args = cobra.MaximumNArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return c.with(cmd.Context(), func(ctx context.Context, s *api.Client) error {
			run, err := do(ctx, s, strings.Join(args, ""))
			if err != nil {
				return err
			}
			return c.printRun(ctx, s, run)
		})
	}
	return cmd
}

func (c *command) approveCommand() *cobra.Command {
	var why string
	cmd := c.onRun(&cobra.Command{
		Use: "approve [RUN]", Short: "say yes to a run that waits for it",
		Long:    "The yes is signed with your name, as the server knows it, and holds as long as the gate says. Only who the gate names may say it.",
		Example: "  semper pipeline approve p-7 --why \"checked the dashboards\"",
	}, func(ctx context.Context, s *api.Client, run string) (course.Run, error) {
		return s.Approve(ctx, c.app, run, why)
	})
	cmd.Flags().StringVar(&why, "why", "", "what it was based on, for the record")
	return cmd
}

func (c *command) rejectCommand() *cobra.Command {
	var why string
	cmd := c.onRun(&cobra.Command{
		Use: "reject [RUN]", Short: "end a run: it enters no further environment", Example: "  semper pipeline reject p-7 --why \"wait for the migration\"",
	}, func(ctx context.Context, s *api.Client, run string) (course.Run, error) {
		return s.Reject(ctx, c.app, run, why)
	})
	cmd.Flags().StringVar(&why, "why", "", "why, for the record")
	return cmd
}

func (c *command) rerunCommand() *cobra.Command {
	return c.onRun(&cobra.Command{
		Use: "rerun [RUN]", Short: "have a run that failed go on from where it ended",
		Long:    "Gates that failed are passed anew; those that were passed stay so. Behind a newer run that has entered the environment there is nothing to go on with.",
		Example: "  semper pipeline rerun\n  semper pipeline rerun p-7",
	}, func(ctx context.Context, s *api.Client, run string) (course.Run, error) {
		return s.Rerun(ctx, c.app, run)
	})
}

// lineCommand stops the line, or lets it go on.
func (c *command) lineCommand(stop bool) *cobra.Command {
	var why string
	var all bool
	cmd := &cobra.Command{
		Use: "stop", Short: "stop the line: nothing is promoted until it is resumed",
		Long:    "What runs goes on running, and a rollback is always possible. Runs wait before the next environment.",
		Example: "  semper pipeline stop --why \"incident 17\"\n  semper pipeline stop --all",
	}
	if !stop {
		cmd = &cobra.Command{Use: "resume", Short: "let promotions go on", Example: "  semper pipeline resume\n  semper pipeline resume --all"}
	}
	cmd.Args = cobra.NoArgs
	cmd.RunE = c.ask(func(ctx context.Context, s *api.Client) error {
		app := c.app
		if app == "" && !all {
			st, err := s.Pipelines(ctx, "")
			if err != nil {
				return err
			}
			if len(st) != 1 {
				return &semper.Error{Code: semper.Invalid, Message: "which line is meant?", Hint: "name an app with --app, or all of them with --all"}
			}
			app = st[0].Pipeline.App
		}
		l, err := s.SetLine(ctx, app, stop, why)
		if err != nil {
			return err
		}
		return c.print(l, []string{l.App}, func(w io.Writer, _ draw.Paint) {
			of, state := "all apps", "goes on"
			if l.App != "" {
				of = l.App
			}
			if l.Stopped {
				state = "is stopped"
			}
			fmt.Fprintf(w, "the line of %s %s\n", of, state)
		})
	})
	cmd.Flags().BoolVar(&all, "all", false, "of all apps")
	if stop {
		cmd.Flags().StringVar(&why, "why", "", "why, for who wonders")
	}
	return cmd
}
