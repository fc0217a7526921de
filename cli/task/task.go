package task

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"semper/api"
	"semper/cli/draw"
	"semper/task"
)

// Task holds what people do about tasks.
func (c *Shell) Task() *cobra.Command {
	return c.Topic("task", "commands that run once and end: look, read what they print, stop",
		"  semper task list\n  semper task show t-17\n  semper task logs -f t-17\n  semper task stop t-17",
		c.listCommand(), c.showCommand(), c.logsCommand(), c.stopCommand())
}

func (c *Shell) listCommand() *cobra.Command {
	var service string
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "tasks, the newest first: what runs, and how the last ones ended", Aliases: []string{"ls"},
		Long: `List tasks, one a line: those of semper run, and the runs of crons. Of each service the last 50 that have ended are known.
Without -a and -e they are those of all apps and environments.`,
		Example: "  semper task list\n  semper task list --service report -n 5\n  semper task list --json | jq '.[] | select(.state == \"failed\")'", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				all, err := s.Tasks(ctx, c.App(), c.Environment())
				if err != nil {
					return err
				}
				var list []task.Task
				var values []any
				var names []string
				for _, t := range all {
					if (service == "" || t.Service == service) && (limit <= 0 || len(list) < limit) {
						list, values, names = append(list, t), append(values, t), append(names, t.ID)
					}
				}
				if values == nil {
					values = []any{}
				}
				return c.PrintList(values, names, func(w io.Writer, p draw.Paint) { draw.Tasks(w, list, p, c.Now()) })
			})
		},
	}
	cmd.Flags().StringVarP(&service, "service", "s", "", "only those of this service")
	cmd.Flags().IntVarP(&limit, "limit", "n", 20, "at most so many; 0: all")
	return cmd
}

func (c *Shell) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show TASK", Short: "one task: what ran, where, for whom, and how it ended", Example: "  semper task show t-17\n  semper task show t-17 --json", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				t, err := s.Task(ctx, args[0])
				if err != nil {
					return err
				}
				return c.Print(t, []string{t.ID}, func(w io.Writer, p draw.Paint) { draw.Task(w, t, p, c.Now()) })
			})
		},
	}
}

func (c *Shell) logsCommand() *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "logs TASK", Short: "what a task printed, standard output and standard error apart",
		Long: `Print what a task printed, as it is: its standard output to standard output, its standard error to standard error. It is kept for all tasks that
run, and of each service for the last ten that have ended; the last lines of one that failed are in semper task show for longer.`,
		Example: "  semper task logs t-17\n  semper task logs -f t-17\n  semper task logs t-17 2>/dev/null > report.csv", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				ch, err := s.TaskOutput(ctx, args[0], api.TaskOffsets{}, follow)
				if err != nil {
					return err
				}
				if err := c.write(ch, &api.TaskOffsets{}); err != nil {
					return err
				}
				return context.Cause(ctx)
			})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "keep going until it has ended, or Ctrl-C; the task goes on")
	return cmd
}

func (c *Shell) stopCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "stop TASK...", Short: "end tasks", Long: "Tell tasks to end, as their service says (stop.signal, stop.timeout). One that waits for its start does not start.",
		Example: "  semper task stop t-17 --why 'wrong month'", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				for _, id := range args {
					t, err := s.EndTask(ctx, id, c.By(), why)
					switch {
					case err != nil:
						return err
					case t.State.Ended():
						c.Sayf("%s", ending(t))
					default:
						c.Sayf("%s is told to end", t.ID)
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "for the record")
	return cmd
}

// Cron holds what people do about crons.
func (c *Shell) Cron() *cobra.Command {
	return c.Topic("cron", "services that run when they are due: look, run now, pause",
		"  semper cron list\n  semper cron run report\n  semper cron pause report --why 'the database moves'\n  semper cron resume report",
		c.cronsCommand(), c.cronRunCommand(), c.pauseCommand(), c.resumeCommand())
}

func (c *Shell) cronsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "crons: when each is due next, and how its last run ended", Aliases: []string{"ls"},
		Example: "  semper cron list\n  semper cron list --json | jq '.[] | {service, next}'", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				list, err := s.Crons(ctx, c.App(), c.Environment())
				if err != nil {
					return err
				}
				values, names := []any{}, []string{}
				for _, cron := range list {
					values, names = append(values, cron), append(names, cron.Service)
				}
				return c.PrintList(values, names, func(w io.Writer, p draw.Paint) { draw.Crons(w, list, p, c.Now()) })
			})
		},
	}
}

func (c *Shell) cronRunCommand() *cobra.Command {
	var detach bool
	cmd := &cobra.Command{
		Use: "run CRON", Short: "run a cron now, whatever its schedule says",
		Long: `Run a cron's command now, as semper run --service CRON does: what it prints is shown, and its exit code is the command's. Its due times stay as
they are. While another run of it has not ended, it waits for that.`,
		Example: "  semper cron run report\n  semper cron run report --detach", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.run(cmd.Context(), api.TaskRequest{App: c.App(), Environment: c.Environment(), Service: args[0], By: c.By()}, detach)
		},
	}
	cmd.Flags().BoolVarP(&detach, "detach", "d", false, "do not wait for it")
	return cmd
}

func (c *Shell) pauseCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "pause CRON", Short: "keep a cron from running, until it is resumed",
		Long:    "Keep a cron from running in an environment, over deploys too. A run that has begun goes on. Due times that pass are not made up for.",
		Example: "  semper cron pause report --why 'the database moves'", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				info, err := s.PauseCron(ctx, c.App(), c.Environment(), args[0], c.By(), why)
				if err != nil {
					return err
				}
				left := ""
				if len(info.Open) > 0 {
					left = "; " + strings.Join(idsOf(info.Open), ", ") + " goes on"
				}
				c.Sayf("%s does not run until: semper cron resume %s%s", args[0], args[0], left)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "for the record")
	return cmd
}

func idsOf(list []task.Task) (ids []string) {
	for _, t := range list {
		ids = append(ids, t.ID)
	}
	return ids
}

func (c *Shell) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "resume CRON", Short: "let a paused cron run again, from its next due time on", Example: "  semper cron resume report", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				info, err := s.ResumeCron(ctx, c.App(), c.Environment(), args[0], c.By())
				if err != nil {
					return err
				}
				c.Sayf("%s runs again: %s", args[0], fmt.Sprintf("next %s", draw.Until(info.Next, c.Now())))
				return nil
			})
		},
	}
}
