package queue

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/queue"
)

// A Shell is what the commands use of the command line that they are in. Its functions are called while a command runs, when flags
// have their values, but for Topic. All are set.
type Shell struct {
	Topic func(use, short, example string, subs ...*cobra.Command) *cobra.Command
	// App and Environment are whose queues they are; empty: of any.
	App, Environment func() string
	By               func() string // who asks, for the record
	// With has a client of the server for as long as do takes.
	With func(ctx context.Context, do func(context.Context, *api.Client) error) error
	Sayf func(format string, args ...any)
	// Print and the others write values as --output says: names for -o name, table what a person reads.
	Print       func(value any, names []string, table func(io.Writer, draw.Paint)) error
	PrintQueues func(list []api.QueueInfo, table func(io.Writer, draw.Paint)) error
	PrintJobs   func(list []queue.Status, table func(io.Writer, draw.Paint)) error
	Confirmed   func(question string) (bool, error)
	Live        func() bool // a person looks at a terminal, and wants a table
	Screen      func() (draw.Screen, draw.Paint)
	Now         func() time.Time
}

// Command holds what people do about queues.
func (c *Shell) Command() *cobra.Command {
	return c.Topic("queue", "requests that were accepted and are done later: look, pause, try again",
		"  semper queue list --watch\n  semper queue pause mail --why 'the provider is down' --drain\n  semper queue dlq mail\n  semper queue retry mail --all",
		c.listCommand(), c.showCommand(), c.peekCommand(), c.pauseCommand(), c.resumeCommand(), c.retryCommand(), c.discardCommand(), c.deadCommand())
}

// of is the queue that a command names.
func (c *Shell) of(name string) queue.Service {
	return queue.Service{App: c.App(), Environment: c.Environment(), Service: name}
}

// with is a command about the queue of its first argument.
func (c *Shell) with(do func(ctx context.Context, s *api.Client, of queue.Service, rest []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error { return do(ctx, s, c.of(args[0]), args[1:]) })
	}
}

// follow draws what is asked for anew every second, until ctx ends.
func (c *Shell) follow(ctx context.Context, look func(draw.Paint) ([]string, error)) error {
	sc, p := c.Screen()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		block, err := look(p)
		if err != nil {
			return err
		}
		sc.Draw(block)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func watchFlag(cmd *cobra.Command, watch *bool) {
	cmd.Flags().BoolVarP(watch, "watch", "w", false, "keep it on the terminal, up to date")
}

func (c *Shell) listCommand() *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "list", Short: "queues, how much waits in each and for how long", Aliases: []string{"ls"},
		Long: `List queues, one a line. QUEUED may start, DELAYED waits after an attempt that failed, DEAD was given up. OLDEST is how long the
first of what may start has waited, IN and OUT are how many were accepted and done a second in the last minute. Without -a and -e they are those of all apps and environments.`,
		Example: "  semper queue list\n  semper queue list --watch\n  semper queue list -a shop --json | jq '.[] | select(.dead > 0)'", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.With(cmd.Context(), func(ctx context.Context, s *api.Client) error {
				if watch && c.Live() {
					return c.follow(ctx, func(p draw.Paint) ([]string, error) {
						list, err := s.Queues(ctx, c.App(), c.Environment())
						return queues(list, p, c.Now()), err
					})
				}
				list, err := s.Queues(ctx, c.App(), c.Environment())
				if err != nil {
					return err
				}
				return c.PrintQueues(list, func(w io.Writer, p draw.Paint) { write(w, queues(list, p, c.Now())) })
			})
		},
	}
	watchFlag(cmd, &watch)
	return cmd
}

func (c *Shell) showCommand() *cobra.Command {
	var watch bool
	var state string
	var limit int
	cmd := &cobra.Command{
		Use: "show QUEUE [JOB]", Short: "a queue with its rules and what was done to it, or the life of one job",
		Long: `Show how a queue stands, what it goes by, who paused it and what was done to it. With a JOB: where that is in its life, and each
attempt. With --state: the jobs that are in it, the oldest first.`,
		Example: "  semper queue show mail\n  semper queue show mail 01JD7Z0V6QW8Y1D6M5T3K9E2RB\n  semper queue show mail --state delayed",
		Args:    cobra.RangeArgs(1, 2),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, rest []string) error {
			if state != "" {
				return c.jobs(ctx, s, of, queue.State(state), limit)
			}
			if len(rest) > 0 {
				return c.job(ctx, s, of, rest[0], life)
			}
			if watch && c.Live() {
				return c.follow(ctx, func(p draw.Paint) ([]string, error) {
					q, err := s.Queue(ctx, of)
					return one(q, p, c.Now()), err
				})
			}
			q, err := s.Queue(ctx, of)
			if err != nil {
				return err
			}
			return c.Print(q, []string{q.Service.Service}, func(w io.Writer, p draw.Paint) { write(w, one(q, p, c.Now())) })
		}),
	}
	watchFlag(cmd, &watch)
	cmd.Flags().StringVar(&state, "state", "", "list jobs in it: queued, delayed, running, done, dead, discarded, expired")
	cmd.Flags().IntVarP(&limit, "limit", "n", 50, "at most so many jobs")
	return cmd
}

// jobs lists those in a state.
func (c *Shell) jobs(ctx context.Context, s *api.Client, of queue.Service, state queue.State, limit int) error {
	list, err := s.Jobs(ctx, of, state, queue.ID{}, limit)
	if err != nil {
		return err
	}
	return c.PrintJobs(list, func(w io.Writer, p draw.Paint) {
		write(w, jobs(list, p, c.Now()))
		if len(list) == limit {
			_, _ = fmt.Fprintln(w, p.Dim("there may be more: --limit"))
		}
	})
}

func (c *Shell) job(ctx context.Context, s *api.Client, of queue.Service, text string, draws func(api.JobInfo, draw.Paint, time.Time) []string) error {
	id, err := queue.ParseID(text)
	if err != nil {
		return &semper.Error{Code: semper.NotFound, Op: "queue show", Message: fmt.Sprintf("%q is no job", text), Hint: "an id has 26 characters: semper queue show " + of.Service + " --state queued"}
	}
	j, err := s.Job(ctx, of, id)
	if err != nil {
		return err
	}
	return c.Print(j, []string{j.ID.String()}, func(w io.Writer, p draw.Paint) { write(w, draws(j, p, c.Now())) })
}

func (c *Shell) peekCommand() *cobra.Command {
	return &cobra.Command{
		Use: "peek QUEUE [JOB]", Short: "the request of a job, and its last response, without taking it",
		Long: `Print what a job was accepted with; without JOB the oldest that is queued. Values of fields and parameters that may be secrets
(Authorization, Cookie, tokens, keys) are hidden. The body is shown up to 64 KiB; in JSON it is base64.`,
		Example: "  semper queue peek mail\n  semper queue peek mail 01JD7Z0V6QW8Y1D6M5T3K9E2RB --json | jq -r .request.body | base64 -d",
		Args:    cobra.RangeArgs(1, 2),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, rest []string) error {
			if len(rest) > 0 {
				return c.job(ctx, s, of, rest[0], messages)
			}
			list, err := s.Jobs(ctx, of, queue.Queued, queue.ID{}, 1)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				return &semper.Error{Code: semper.NotFound, Op: "queue peek", Message: "no job of " + of.Service + " is queued", Hint: "semper queue dlq " + of.Service + " lists dead ones; semper queue peek " + of.Service + " JOB shows one"}
			}
			return c.job(ctx, s, of, list[0].ID.String(), messages)
		}),
	}
}

func (c *Shell) deadCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use: "dlq QUEUE", Short: "dead letters: jobs that no attempt completed", Aliases: []string{"dead"},
		Long:    "List the jobs that were given up, the oldest first, with why. They stay until they are retried or discarded, or their time is over.",
		Example: "  semper queue dlq mail\n  semper queue dlq mail -o name | xargs semper queue retry mail",
		Args:    cobra.ExactArgs(1),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, _ []string) error {
			return c.jobs(ctx, s, of, queue.Dead, limit)
		}),
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 50, "at most so many jobs")
	return cmd
}
