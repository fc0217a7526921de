package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"semper"
	"semper/api"
	"semper/cli/draw"
	"semper/queue"
)

// reason is the flag of commands that are on record.
func reason(cmd *cobra.Command, why *string) {
	cmd.Flags().StringVar(why, "why", "", "for the record: it stands with the queue and in the events")
}

func (c *Shell) who(why string) queue.By { return queue.By{Who: c.By(), Why: why} }

// lookAgain is how long to wait between two looks at whether a queue is drained.
const lookAgain = 300 * time.Millisecond

func (c *Shell) pauseCommand() *cobra.Command {
	var why string
	var drain bool
	cmd := &cobra.Command{
		Use: "pause QUEUE", Short: "start no job of a queue any more; accepting goes on",
		Long: `Pause a queue. When this command has returned, no job of it can start, whichever process would start it; jobs that run go on, and
requests are accepted up to the queue's bounds. With --drain it returns when nothing runs either. A queue that is paused stays so, over
restarts and upgrades, until semper queue resume.`,
		Example: "  semper queue pause mail --why 'the provider is down'\n  semper queue pause mail --drain --timeout 5m",
		Args:    cobra.ExactArgs(1),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, _ []string) error {
			q, err := s.PauseQueue(ctx, of, c.who(why))
			if err != nil {
				return err
			}
			c.Sayf("%s is paused: no job starts; %s", of.Service, runningWords(q))
			if !drain || q.Drained {
				return nil
			}
			if err := c.drained(ctx, s, of); err != nil {
				return err
			}
			c.Sayf("%s is drained", of.Service)
			return nil
		}),
	}
	reason(cmd, &why)
	cmd.Flags().BoolVar(&drain, "drain", false, "wait until nothing runs")
	return cmd
}

func runningWords(q api.QueueInfo) string {
	if q.Drained {
		return "drained: nothing runs"
	}
	return draw.Plural(q.Running, "job") + " still at work"
}

// drained returns when nothing of the queue runs, or somebody has let it go on.
func (c *Shell) drained(ctx context.Context, s *api.Client, of queue.Service) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		q, err := s.Queue(ctx, of)
		switch {
		case err != nil:
			return err
		case q.Drained:
			return nil
		case q.Paused == nil:
			return &semper.Error{Code: semper.Conflict, Op: "queue pause", Message: of.Service + " was resumed before it was drained", Hint: "semper queue show " + of.Service + " says by whom"}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (c *Shell) resumeCommand() *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "resume QUEUE", Short: "let jobs of a paused queue start again",
		Example: "  semper queue resume mail", Args: cobra.ExactArgs(1),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, _ []string) error {
			q, err := s.ResumeQueue(ctx, of, c.who(why))
			if err == nil {
				c.Sayf("%s goes on: %s may start", of.Service, draw.Plural(q.Queued, "job"))
			}
			return err
		}),
	}
	reason(cmd, &why)
	return cmd
}

func (c *Shell) retryCommand() *cobra.Command {
	var why string
	var all bool
	cmd := &cobra.Command{
		Use: "retry QUEUE [JOB...]", Short: "queue dead jobs again, as they were accepted, with all attempts before them",
		Example: "  semper queue retry mail 01JD7Z0V6QW8Y1D6M5T3K9E2RB\n  semper queue retry mail --all --why 'the provider is back'", Args: cobra.MinimumNArgs(1),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, rest []string) error {
			which, err := choice(rest, all, queue.Dead)
			if err != nil {
				return err
			}
			n, err := s.RetryJobs(ctx, of, which, c.who(why))
			if err == nil {
				c.Sayf("%s of %s queued again", draw.Plural(n, "job"), of.Service)
			}
			return err
		}),
	}
	reason(cmd, &why)
	cmd.Flags().BoolVar(&all, "all", false, "every dead job of the queue")
	return cmd
}

func (c *Shell) discardCommand() *cobra.Command {
	var why, state string
	var all bool
	cmd := &cobra.Command{
		Use: "discard QUEUE [JOB...]", Short: "end jobs that do not run, for ever",
		Long: `Discard jobs: whoever asks for one is told that it was discarded. A job that runs is not discarded; pause the queue, and wait for it.
--all takes the dead ones, or with --state those that are queued or delayed.`,
		Example: "  semper queue discard mail 01JD7Z0V6QW8Y1D6M5T3K9E2RB --why 'the order was cancelled'\n  semper queue discard mail --all",
		Args:    cobra.MinimumNArgs(1),
		RunE: c.with(func(ctx context.Context, s *api.Client, of queue.Service, rest []string) error {
			which, err := choice(rest, all, queue.State(state))
			if err != nil {
				return err
			}
			if all {
				if yes, err := c.Confirmed(fmt.Sprintf("discard every %s job of %s, for ever?", which.State, of.Service)); err != nil || !yes {
					return err
				}
			}
			n, err := s.DiscardJobs(ctx, of, which, c.who(why))
			if err == nil {
				c.Sayf("%s of %s discarded", draw.Plural(n, "job"), of.Service)
			}
			return err
		}),
	}
	reason(cmd, &why)
	cmd.Flags().BoolVar(&all, "all", false, "every job in the state")
	cmd.Flags().StringVar(&state, "state", string(queue.Dead), "of --all: dead, queued, delayed")
	return cmd
}

// choice is which jobs the arguments mean.
func choice(args []string, all bool, state queue.State) (api.JobChoice, error) {
	if all == (len(args) > 0) {
		return api.JobChoice{}, &semper.Error{Code: semper.Invalid, Op: "queue", Message: "which jobs is not said", Hint: "name their ids (semper queue dlq QUEUE -o name), or say --all: one of both"}
	}
	if all {
		return api.JobChoice{All: true, State: state}, nil
	}
	ids := make([]queue.ID, len(args))
	for i, text := range args {
		var err error
		if ids[i], err = queue.ParseID(text); err != nil {
			return api.JobChoice{}, &semper.Error{Code: semper.NotFound, Op: "queue", Message: fmt.Sprintf("%q is no job", text), Hint: "an id has 26 characters: semper queue dlq QUEUE -o name"}
		}
	}
	return api.JobChoice{IDs: ids}, nil
}
